package proxy

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kz/proxy/audit"
)

// noted is what a strangers has recorded.
type noted struct {
	mu    sync.Mutex
	lines []audit.Event
}

func (n *noted) record(e audit.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, e)
}

func (n *noted) reasons() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []string
	for _, e := range n.lines {
		out = append(out, e.Reason)
	}
	return out
}

func TestRequestsWithoutTheCredentialAreFewLines(t *testing.T) {
	t.Parallel()
	knock := func(s *strangers, n int) {
		for range n {
			s.note(audit.Event{Reason: "wrong"})
		}
	}
	t.Run("the first is one at once, those that follow one a second later", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var n noted
			s := &strangers{record: n.record}
			knock(s, 1)
			if got := n.reasons(); len(got) != 1 || got[0] != "wrong" {
				t.Errorf("at once: %q", got)
			}
			knock(s, 9)
			time.Sleep(firstWait)
			synctest.Wait()
			if got := n.reasons(); len(got) != 2 || got[1] != "wrong; the latest of 9 such requests since the line before" {
				t.Errorf("then: %q", got)
			}
			time.Sleep(time.Hour)
			knock(s, 1)
			if got := n.reasons(); len(got) != 3 || got[2] != "wrong" {
				t.Errorf("much later: %q", got)
			}
		})
	})
	t.Run("a day of them is less than two thousand lines", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var n noted
			s := &strangers{record: n.record}
			for range 24 * 60 * 60 {
				knock(s, 3)
				time.Sleep(time.Second)
			}
			if got := len(n.reasons()); got < 1000 || got > 2000 {
				t.Errorf("it is %d lines", got)
			}
		})
	})
	t.Run("so are three hours of one whenever it would be recorded at once", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var n noted
			s := &strangers{record: n.record}
			for end := time.Now().Add(3 * time.Hour); time.Now().Before(end); time.Sleep(firstWait + time.Millisecond) {
				s.mu.Lock()
				quiet := s.timer == nil
				s.mu.Unlock()
				if quiet {
					knock(s, 1)
				}
			}
			if got := len(n.reasons()); got < 100 || got > 250 {
				t.Errorf("it is %d lines", got)
			}
		})
	})
	t.Run("what was not told is told at the end", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var n noted
			s := &strangers{record: n.record}
			knock(s, 5)
			s.end()
			time.Sleep(time.Hour)
			if got := n.reasons(); len(got) != 2 || !strings.Contains(got[1], "the latest of 4 such requests") {
				t.Errorf("it is %q", got)
			}
		})
	})
}
