package agents_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kz/test/bed"
)

// TestClaudeCodeAtATerminal has the key as `kz help agents` says for a person who works with it: nothing is asked about it.
func TestClaudeCodeAtATerminal(t *testing.T) {
	t.Parallel()
	l := newLab(t, messages{}, "api.anthropic.com", "CLAUDE_KEY", `hosts = ["api.anthropic.com"]`)
	l.claudeFiles()
	l.write("home/.claude/settings.json", shownFile(t, `{"apiKeyHelper"`))
	screen := l.atTerminal("claude")
	for end := time.Now().Add(2 * time.Minute); !strings.Contains(screen.text(), "alldonewith"); time.Sleep(time.Second) {
		if time.Now().After(end) {
			t.Fatalf("no answer; it shows %q", screen.text())
		}
		screen.types("go on\r") // until it has drawn its prompt it takes no notice
	}
	if text := screen.text(); !strings.Contains(text, "alldonewithkz_masked_") {
		t.Errorf("it shows %q", text)
	}
	if _, _, _, refused := l.api.said(); refused > 0 {
		t.Errorf("%d turns had another key", refused)
	}
	l.Clean(bed.Result{Stdout: []byte(screen.text())})
}

// escapes are what moves the cursor, colours and names the window.
var escapes = regexp.MustCompile(`\x1b\[[0-9;?<>=]*[a-zA-Z]|\x1b\][^\x07]*\x07|\x1b[()][A-Z0-9]|\x1b[=>78]`)

// screen is what a program has written to its terminal.
type screen struct {
	keys *os.File
	mu   sync.Mutex
	all  bytes.Buffer
}

// atTerminal runs a command that the topic shows as the leader of a session on a terminal of its own.
func (l *lab) atTerminal(program string) *screen {
	l.t.Helper()
	keys, tty := bed.Terminal(l.t)
	if err := unix.IoctlSetWinsize(int(keys.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 200}); err != nil {
		l.t.Fatal(err)
	}
	defer tty.Close()
	cmd := exec.Command(l.Program(), "run", "--blind", "--config", l.WriteBundle(), "--audit", l.AuditFile(), "--", "/bin/sh", "-c", "exec "+shown(l.t, program))
	cmd.Dir = l.Path("home")
	cmd.Env = append([]string{"HOME=" + l.Path("home"), "TMPDIR=" + l.Path("home/tmp"), "TERM=xterm"}, l.Env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	s := &screen{keys: keys}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(s, keys)
	}()
	l.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		stop := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		stop.Stop()
		_ = keys.Close()
		<-read
	})
	return s
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Write(p)
}

func (s *screen) types(text string) { _, _ = s.keys.WriteString(text) }

// text is all that was written, without escape sequences and white space: a screen is painted, not printed.
func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(strings.Fields(escapes.ReplaceAllString(s.all.String(), "")), "")
}
