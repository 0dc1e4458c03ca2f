package e2e_test

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kz/test/bed"
	"kz/test/framing"
)

// compare holds what the origin read against what kz counts and what the clients were answered.
// The clients must have shared a connection so many times.
func (f *framingBed) compare(t *testing.T, o *framing.Origin, list []*said, share int) {
	t.Helper()
	host := o.Name + ".framing.test"
	// A server may write its log a moment after its answer. One more request, and all before it is there.
	resp, err := f.client.client(t, false).Get("https://" + host + "/last")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	answered := 1
	for _, s := range list {
		answered += s.answers + s.neighbours
	}
	var seen []framing.Seen
	bed.Eventually(t, "the origin has logged what it answered", func() bool {
		var err error
		if seen, err = o.Seen(); err != nil {
			t.Fatal(err)
		}
		return len(seen) >= answered
	})
	taken, err := o.Taken()
	if err != nil {
		t.Fatal(err)
	}
	var lines []bed.Line
	for end := time.Now().Add(30 * time.Second); len(lines) < answered && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		lines = nil
		for _, l := range f.Audit() {
			if l.Host == host && l.Kind == "request" {
				lines = append(lines, l)
			}
		}
	}
	shared := 0
	for _, s := range list {
		shared += s.check(t, seen, taken, lines)
	}
	// Whatever is nobody's: a request that no client sent. Of what a server could not read it may say nothing.
	unread := 0
	for _, s := range list {
		if s.cut || s.odd || s.early {
			unread++
		}
	}
	for _, r := range seen {
		switch {
		case r.Line == "-": // Apache, of a connection without a request
		case strings.Contains(r.Line, "/last"), slices.ContainsFunc(list, func(s *said) bool { return s.owns(r.Line) || strings.Contains(r.Line, s.id+"/") }):
		case strings.HasPrefix(r.Line, "BAD ") && unread > 0:
			unread--
		default:
			t.Errorf("the origin read what no one sent: %q", r.Line)
		}
	}
	t.Logf("%d requests answered; %d times the next client had the connection of the one before", answered, shared)
	if shared < share {
		t.Errorf("the clients shared a connection only %d times", shared)
	}
}

// owns reports whether a request line of the origin's log is of this case and not of the neighbour.
func (s *said) owns(line string) bool {
	if slices.ContainsFunc(s.expected, func(w wanted) bool { return w.target == "*" }) && (strings.HasPrefix(line, "OPTIONS * ") || strings.HasPrefix(line, "OPTIONS https://")) {
		return true
	}
	return strings.Contains(line, s.id+"/") && !strings.Contains(line, s.id+"/n1") && !strings.Contains(line, s.id+"/n2")
}

// check compares one case. It returns 1 when the neighbour had the connection of the case.
func (s *said) check(t *testing.T, seen []framing.Seen, taken []framing.Taken, lines []bed.Line) int {
	t.Helper()
	var read []framing.Seen
	for _, r := range seen {
		if s.owns(r.Line) {
			read = append(read, r)
		}
	}
	var sent []bed.Line
	swapped := 0
	for _, l := range lines {
		if s.owns(l.Method + " " + l.Path + " ") {
			swapped += min(1, len(l.Swapped))
			if l.Reason == "" {
				sent = append(sent, l)
			} else {
				t.Logf("%s: %s", s.name, l.Reason)
			}
		}
	}
	want := len(s.expected)
	switch {
	case s.cut && s.answers == want && len(sent) >= want && len(sent) <= want+1 && len(read) <= want+1:
		// What has begun may have come to the origin, and is cut off there.
	case s.cut && s.answers == want+1 && slices.Contains(s.statuses, "400") && len(sent) == want+1 && len(read) == want+1:
		// The origin was quicker to refuse what was cut off than the connection to end.
	case s.odd && s.answers == want && len(sent) == want && len(read) <= want:
	case s.early && s.answers <= want && len(read) == want:
	case len(read) != want || len(sent) != want || s.answers != want:
		t.Errorf("%s: the origin read %d requests, kz counts %d, answered were %d, want %d: %v %+v", s.name, len(read), len(sent), s.answers, want, s.statuses, read)
	}
	for _, r := range read {
		if problem := framed(r); problem != "" {
			t.Errorf("%s: %s in %+v", s.name, problem, r)
		}
	}
	s.checkTaken(t, taken, swapped)
	for _, r := range seen {
		if strings.Contains(r.Line, s.id+"/n1") && slices.ContainsFunc(read, func(c framing.Seen) bool { return c.Conn == r.Conn }) {
			return 1
		}
	}
	return 0
}

// checkTaken compares what came whole to the application.
func (s *said) checkTaken(t *testing.T, taken []framing.Taken, swapped int) {
	t.Helper()
	values, n := 0, 0
	for _, k := range taken {
		if !s.owns(k.Method + " " + k.Target + " ") {
			continue
		}
		n++
		if k.Value {
			values++
		}
		if s.cut && k.Target == s.id+"/a" {
			continue // as far as it came
		}
		if !slices.ContainsFunc(s.expected, func(w wanted) bool {
			return w.method == k.Method && w.target == k.Target && framing.Sum(w.body) == k.Sum
		}) {
			t.Errorf("%s: the origin took what was not sent so: %+v", s.name, k)
		}
		for _, name := range []string{"host", "authorization", "content-length", "transfer-encoding", "connection", "content-type"} {
			if v, ok := k.Trailer[name]; ok {
				t.Errorf("%s: the trailer %s: %s came to the origin", s.name, name, v)
			}
		}
	}
	if values > swapped || values < swapped && n == s.answers && !s.cut {
		t.Errorf("%s: the value came in %d requests, kz counts %d", s.name, values, swapped)
	}
	if n > s.answers && !s.cut {
		t.Errorf("%s: the origin took %d requests, answered were %d", s.name, n, s.answers)
	}
}

// framed says what is wrong with how long a request says it is.
func framed(r framing.Seen) string {
	n, err := strconv.ParseUint(r.Length, 10, 63)
	switch {
	case r.Length != "" && r.Encoding != "":
		return "two framings"
	case r.Encoding != "" && r.Encoding != "chunked":
		return "an odd coding"
	case r.Length != "" && (err != nil || strconv.FormatUint(n, 10) != r.Length):
		return "an odd length"
	}
	return ""
}

// table prints each case with what every origin made of it.
func (f *framingBed) table(t *testing.T, results [][]*said) {
	t.Helper()
	var b strings.Builder
	for n := range results[0] {
		var cells []string
		for i := range f.origins {
			if n >= len(results[i]) {
				continue
			}
			s := results[i][n]
			cell := strings.Join(s.statuses, " ")
			if s.closed && len(s.statuses) == 0 {
				cell = "closed"
			}
			cells = append(cells, f.origins[i].Name+": "+cell)
		}
		same := strings.TrimPrefix(cells[0], f.origins[0].Name+": ")
		if !slices.ContainsFunc(cells, func(c string) bool { return !strings.HasSuffix(c, ": "+same) }) {
			cells = []string{same}
		}
		fmt.Fprintf(&b, "%-58s %s\n", results[0][n].name, strings.Join(cells, " · "))
	}
	t.Logf("what came of each case:\n%s", b.String())
}
