package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kz/proxy/audit"
)

// auditHome is a home with an audit of two sessions, the latter of which is in two hands: its first two lines and then more.
func auditHome(t *testing.T) (home string, latest string) {
	t.Helper()
	home = t.TempDir()
	dir := filepath.Join(home, ".local", "state", "kz", "audit")
	latest = filepath.Join(dir, "20260102T030405Z-bbbbbbbbbbbbbbbb.jsonl")
	record(t, filepath.Join(dir, "20260101T000000Z-aaaaaaaaaaaaaaaa.jsonl"), audit.Event{Session: "aaaaaaaaaaaaaaaa", Kind: audit.Request, Method: "GET", Host: "old.test", Port: 443, Path: "/"})
	record(t, latest,
		audit.Event{Session: "bbbbbbbbbbbbbbbb", Kind: audit.Request, Method: "POST", Host: "api.test", Port: 8443, Path: "/v1/chat", Status: 200,
			Swapped: []audit.Swapped{{Secret: "API_KEY", Place: "header:authorization"}}, Withheld: []audit.Withheld{{Secret: "OTHER", Place: "body", Reason: "r"}}},
		audit.Event{Session: "bbbbbbbbbbbbbbbb", Kind: audit.Tunnel, Method: "CONNECT", Host: "raw.test", Port: 443, Status: 200, Reason: "no secret is bound to it"},
		audit.Event{Session: "bbbbbbbbbbbbbbbb", Kind: audit.Refusal, Method: "GET", Host: "evil.test", Port: 443, Path: "/", Status: 403, Code: "host_not_bound", Reason: "long"},
		audit.Event{Session: "bbbbbbbbbbbbbbbb", Kind: audit.Refusal, Method: "CONNECT", Host: "pinned.test", Port: 443, Reason: "the client ended the TLS handshake"})
	return home, latest
}

// record appends events, as one kz does.
func record(t *testing.T, path string, events ...audit.Event) {
	t.Helper()
	f, err := audit.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		e.Time = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		if err := f.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// runAudit is `kz audit ARG…`.
func runAudit(t *testing.T, home string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	a, out, errs := testApp("HOME=" + home)
	err := execute(background(), newRootCmd(a), append([]string{"audit"}, args...))
	a.ui.Error(err)
	return out.String(), errs.String(), exitCode(err)
}

func TestAuditShowsTheLatestSession(t *testing.T) {
	t.Parallel()
	home, latest := auditHome(t)
	out, errs, code := runAudit(t, home)
	want := []string{
		"session bbbbbbbbbbbbbbbb, 2026-01-02, " + latest,
		"TIME WHAT HOST STATUS SWAPPED WITHHELD CODE",
		"03:04:05 POST /v1/chat api.test:8443 200 API_KEY header:authorization OTHER body -",
		"03:04:05 tunnel raw.test 200 - - -",
		"03:04:05 GET / evil.test 403 - - host_not_bound",
		"03:04:05 CONNECT pinned.test - - - the client ended the TLS handshake",
		"",
	}
	lines := strings.Split(out, "\n")
	for i := range lines {
		lines[i] = strings.Join(strings.Fields(lines[i]), " ")
	}
	if got := strings.Join(lines, "\n"); got != strings.Join(want, "\n") || code != 0 || errs != "" {
		t.Errorf("exit code %d, %s\ngot:\n%s\nwant:\n%s", code, errs, got, strings.Join(want, "\n"))
	}
}

func TestAuditFindsSessions(t *testing.T) {
	t.Parallel()
	home, latest := auditHome(t)
	both := filepath.Join(t.TempDir(), "both")
	record(t, both, audit.Event{Session: "first", Host: "a.test"}, audit.Event{Session: "second", Host: "b.test"}, audit.Event{Session: "second", Host: "c.test"})
	for _, tt := range []struct {
		name, args string
		want, not  []string
		code       int
	}{
		{"by how it begins", "--session aaaa", []string{"old.test"}, []string{"api.test"}, 0},
		{"all of them", "--session all", []string{"old.test", "api.test", "session aaaa", "session bbbb"}, nil, 0},
		{"none of that name", "--session cccc", nil, []string{"old.test"}, exitFailure},
		{"the last one of a file", both, []string{"b.test", "c.test"}, []string{"a.test", "api.test"}, 0},
		{"one of a file", both + " --session first", []string{"a.test"}, []string{"b.test"}, 0},
		{"in JSON", "--json", []string{`"path":"/v1/chat"`, `"chain":"`}, []string{"TIME"}, 0},
		{"of a file that is not there", both + ".no", nil, nil, exitFailure},
		{"with flags that exclude each other", "--verify --follow", nil, nil, exitMisuse},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out, errs, code := runAudit(t, home, strings.Fields(tt.args)...)
			if code != tt.code || code != 0 && !strings.HasPrefix(errs, "kz: error: ") {
				t.Errorf("exit code %d, want %d: %s", code, tt.code, errs)
			}
			for _, s := range tt.want {
				if !strings.Contains(out, s) {
					t.Errorf("%q is missing in\n%s", s, out)
				}
			}
			for _, s := range tt.not {
				if strings.Contains(out, s) {
					t.Errorf("%q is in\n%s", s, out)
				}
			}
		})
	}
	t.Run("its JSON is the file", func(t *testing.T) {
		t.Parallel()
		out, _, _ := runAudit(t, home, "--json")
		if file, err := os.ReadFile(latest); err != nil || out != string(file) {
			t.Errorf("%v, got\n%s\nwant\n%s", err, out, file)
		}
	})
	t.Run("where there is none yet", func(t *testing.T) {
		t.Parallel()
		if _, errs, code := runAudit(t, t.TempDir()); code != exitFailure || !strings.Contains(errs, "kz: hint: ") {
			t.Errorf("exit code %d: %s", code, errs)
		}
	})
	t.Run("inside a blind session too", func(t *testing.T) {
		t.Parallel()
		a, out, _ := testApp("HOME="+home, sessionVariable+"=x")
		if err := execute(background(), newRootCmd(a), []string{"audit"}); err != nil || !strings.Contains(out.String(), "api.test") {
			t.Errorf("%v: %s", err, out)
		}
	})
}

func TestAuditVerify(t *testing.T) {
	t.Parallel()
	home, latest := auditHome(t)
	out, errs, code := runAudit(t, home, "--verify")
	if code != 0 || strings.Count(out, "the chain is whole and ends in ") != 2 || !strings.Contains(out, latest+": 4 lines, ") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
	file, err := os.ReadFile(latest)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(latest, bytes.Replace(file, []byte("evil.test"), []byte("good.test"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--verify"}, {"--verify", latest}, {"--verify", "--session", "bbbb"}} {
		out, errs, code = runAudit(t, home, args...)
		if code != 1 || !strings.Contains(out, latest+": 4 lines, broken at line 3: its hash does not fit") || !strings.Contains(errs, "kz: error: the chain is broken in 1 of ") {
			t.Errorf("%v: exit code %d: %s%s", args, code, out, errs)
		}
	}
	if out, _, code = runAudit(t, home, "--verify", "--session", "aaaa"); code != 0 || strings.Contains(out, latest) {
		t.Errorf("exit code %d: %s", code, out)
	}
}

func TestAuditPrintsNoControlBytes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a\x1b[2J")
	odd := "\x1b]0;title\x07\r\n\t\u009b31m\u202e\x7f\u2028é\U000e0001"
	record(t, path, audit.Event{Session: odd, Method: odd, Host: odd, Path: odd, Code: odd, Swapped: []audit.Swapped{{Secret: odd, Place: odd}},
		Withheld: []audit.Withheld{{Secret: odd, Place: odd}}, Reason: odd})
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("\x1b[31mnot a line\n{\"session\":\"s\",\x09\"host\":\"\x80\u009b\"}\n"); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	for _, args := range [][]string{{path, "--session", "all"}, {path, "--session", "all", "--json"}, {path, "--verify"}} {
		out, errs, _ := runAudit(t, t.TempDir(), args...)
		if out == "" {
			t.Errorf("%v: nothing was shown: %s", args, errs)
		}
		for i, r := range out + errs {
			if r != '\n' && (r < ' ' || r == 0x7f || r == 0xfffd || strings.ContainsRune("\u009b\u202e\u2028\U000e0001", r)) {
				t.Errorf("%v: %q at %d of %q", args, r, i, out+errs)
			}
		}
		if len(args) == 4 {
			var e audit.Event
			if err := json.Unmarshal([]byte(out[:strings.IndexByte(out, '\n')]), &e); err != nil || e.Path != odd {
				t.Errorf("%v: read back as %q", err, e.Path)
			}
		}
	}
}

// lockedBuffer is written and read at once.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestAuditFollows(t *testing.T) {
	t.Parallel()
	home, latest := auditHome(t)
	a, _, _ := testApp("HOME=" + home)
	out := &lockedBuffer{}
	a.stdout = out
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- execute(ctx, newRootCmd(a), []string{"audit", "--follow"}) }()
	await := func(text string) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !strings.Contains(out.String(), text); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%q did not come:\n%s", text, out)
			}
		}
	}
	await("pinned.test")
	record(t, latest, audit.Event{Session: "bbbbbbbbbbbbbbbb", Host: "later.test"})
	await("later.test")
	fresh := filepath.Join(filepath.Dir(latest), "20260103T000000Z-cccccccccccccccc.jsonl")
	record(t, fresh, audit.Event{Session: "cccccccccccccccc", Host: "fresh.test"})
	await("session cccccccccccccccc")
	await("fresh.test")
	// A line is shown once it is whole.
	file, err := os.ReadFile(fresh)
	if err != nil {
		t.Fatal(err)
	}
	half, err := os.OpenFile(fresh, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	line := bytes.Replace(file, []byte("fresh.test"), []byte("split.test"), 1)
	_, _ = half.Write(line[:100])
	record(t, latest, audit.Event{Session: "bbbbbbbbbbbbbbbb", Host: "between.test"})
	await("between.test")
	_, _ = half.Write(line[100:])
	await("split.test")
	stop()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
	if strings.Contains(out.String(), "old.test") || strings.Count(out.String(), "fresh.test") != 1 {
		t.Errorf("an old session, or a line twice:\n%s", out)
	}
}

func TestTheSummaryTellsWhereTheAuditEnds(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a")
	f, err := audit.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tally := &tally{next: f}
	var out bytes.Buffer
	tally.tell(newUI(&out, false), nil, f)
	if out.String() != "kz: 0 requests\nkz: audit: "+path+"\n" {
		t.Errorf("of nothing: %q", &out)
	}
	if err := tally.Write(audit.Event{Host: "a.test"}); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	tally.tell(newUI(&out, false), nil, f)
	_, chain := f.End()
	if want := "kz: 0 requests\nkz: audit: " + path + " (1 line, ends in " + chain[:16] + ")\n"; out.String() != want {
		t.Errorf("got %q, want %q", &out, want)
	}
	if err := os.WriteFile(path, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	tally.tell(newUI(&out, false), nil, f)
	if !strings.Contains(out.String(), "kz: warning: the audit is not whole: ") {
		t.Errorf("an audit that another wrote: %q", &out)
	}
}
