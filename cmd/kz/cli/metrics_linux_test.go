package cli

import (
	"strings"
	"testing"
	"time"
)

// withMetrics is a session's control socket that gives counters.
func withMetrics(t *testing.T, a *app, session string, inside func(peer) bool) *controlServer {
	t.Helper()
	c, err := a.newControl(session, "kz proxy", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	report := countedCache(t).Report()
	c.peer, c.inside, c.metrics = me, inside, func() string { return metricsOf(session, report) }
	go c.serve()
	return c
}

func TestMetricsOnTheControlSocket(t *testing.T) {
	t.Parallel()
	t.Run("are those of every session, in one text", func(t *testing.T) {
		t.Parallel()
		a, stdout, _ := testApp("HOME=" + t.TempDir())
		withMetrics(t, a, "0e", outside)
		withMetrics(t, a, "2e", outside)
		if err := a.printMetrics(); err != nil {
			t.Fatal(err)
		}
		got := parsed(t, stdout.String())
		for _, session := range []string{"0e", "2e"} {
			if n := got["kz_retrievals_total backend=plain session="+session]; n != 2 {
				t.Errorf("%s has %v", session, n)
			}
		}
	})
	t.Run("are not for a process inside the session", func(t *testing.T) {
		t.Parallel()
		a, stdout, _ := testApp("HOME=" + t.TempDir())
		c := withMetrics(t, a, "1e", within)
		if r, err := askControl(c.path, opMetrics, 30*time.Second); err != nil || r.Metrics != "" || len(r.Errors) != 1 {
			t.Errorf("it is given %+v, %v", r, err)
		}
		err := a.printMetrics()
		if err == nil || !strings.Contains(err.Error(), "kz proxy 1e: refused inside a blind session") || stdout.String() != "" {
			t.Errorf("it prints %s, %v", stdout, err)
		}
	})
	t.Run("fit into an answer for many backends", func(t *testing.T) {
		t.Parallel()
		if size := len(metricsOf("0123456789abcdef", manyBackends(100))); size > maxControlReply*3/4 {
			t.Errorf("100 backends take %d bytes of %d", size, maxControlReply)
		}
	})
	t.Run("without a session it says so", func(t *testing.T) {
		t.Parallel()
		a, _, stderr := testApp("HOME=" + t.TempDir())
		a.ui.Error(a.printMetrics())
		if !strings.Contains(stderr.String(), "kz: error: no session of this user is running\nkz: hint: ") {
			t.Errorf("it says %s", stderr)
		}
	})
}
