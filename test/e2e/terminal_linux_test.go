package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kz/test/bed"
)

// terminal runs kz as the leader of a session on a terminal of its own.
type terminal struct {
	cmd   *exec.Cmd
	keys  *os.File
	lines chan string
}

func onTerminal(t *testing.T, b *bed.Bed, argv ...string) *terminal {
	t.Helper()
	keys, tty := bed.Terminal(t)
	defer tty.Close()
	cmd := exec.Command(bed.KZ(t), append([]string{"run", "--blind", "--config", b.WriteBundle(), "--audit", b.AuditFile(), "--"}, argv...)...)
	cmd.Dir, cmd.Env = b.Path("home"), []string{"PATH=" + bed.Path, "HOME=" + b.Path("home"), "TMPDIR=" + b.Path("home/tmp"), "TERM=dumb"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	term := &terminal{cmd: cmd, keys: keys, lines: make(chan string, 100)}
	go func() {
		for s := bufio.NewScanner(keys); s.Scan(); {
			term.lines <- s.Text()
		}
		close(term.lines)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = keys.Close()
	})
	return term
}

// expect reads lines until one holds text.
func (term *terminal) expect(t *testing.T, text string) string {
	t.Helper()
	var seen []string
	for timeout := time.After(30 * time.Second); ; {
		select {
		case line, ok := <-term.lines:
			if strings.Contains(line, text) {
				return line
			}
			if seen = append(seen, line); !ok {
				t.Fatalf("the terminal closed; no %q in %q", text, seen)
			}
		case <-timeout:
			t.Fatalf("no %q in %q", text, seen)
		}
	}
}

func TestCtrlC(t *testing.T) {
	t.Parallel()
	t.Run("reaches the child once, and kz waits for it", func(t *testing.T) {
		t.Parallel()
		b := bed.New(t)
		b.Secret("API_KEY", bound)
		term := onTerminal(t, b, shell(`n=0; trap 'n=$((n+1)); echo "got $n"' INT; echo up; while [ ! -e ../state/enough ]; do sleep 0.05; done; echo "signals=$n."; exit 7`)...)
		term.expect(t, "up")
		// kz is held back, so that what it would pass on comes clearly after what the keyboard sends: two signals in quick
		// succession may be delivered as one.
		if err := term.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(term.keys, "\x03"); err != nil {
			t.Fatal(err)
		}
		term.expect(t, "got 1")
		if err := term.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond) // for what may not come
		if err := os.WriteFile(b.Path("state/enough"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if line := term.expect(t, "signals="); line != "signals=1." {
			t.Errorf("the child got %s", line)
		}
		term.expect(t, "never swapped: API_KEY") // the summary still comes
		_ = term.cmd.Wait()
		if code := term.cmd.ProcessState.ExitCode(); code != 7 {
			t.Errorf("exit code %d", code)
		}
		leftovers(t, b)
	})

	t.Run("that ends the child is 130", func(t *testing.T) {
		t.Parallel()
		b := bed.New(t)
		b.Secret("API_KEY", bound)
		term := onTerminal(t, b, shell("echo up; exec sleep 60")...)
		term.expect(t, "up")
		if _, err := io.WriteString(term.keys, "\x03"); err != nil {
			t.Fatal(err)
		}
		_ = term.cmd.Wait()
		if code := term.cmd.ProcessState.ExitCode(); code != 130 {
			t.Errorf("exit code %d", code)
		}
		leftovers(t, b)
	})
}

// leftovers looks for what an ended run may not leave behind.
func leftovers(t *testing.T, b *bed.Bed) {
	t.Helper()
	if left, err := filepath.Glob(b.Path("home/tmp/*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// TestEnds is about how a run ends, beside TestChildEnds.
func TestEnds(t *testing.T) {
	t.Parallel()
	for script, code := range map[string]int{"exit 0": 0, "exit 3": 3, "exit 125": 125, "kill -TERM $$": 143, "kill -SEGV $$": 139} {
		t.Run(fmt.Sprintf("%s is %d, and nothing stays", script, code), func(t *testing.T) {
			t.Parallel()
			b := bed.New(t)
			b.Secret("API_KEY", bound)
			res := b.Run(shell(`echo "$HTTPS_PROXY"; ls "$SSL_CERT_FILE"; ` + script)...)
			res.Exits(t, code)
			nothingLeft(t, b, strings.Fields(string(res.Stdout))[0])
		})
	}
	t.Run("kz -9 takes the child with it, and the next run clears up", func(t *testing.T) {
		t.Parallel()
		b := bed.New(t)
		b.Secret("API_KEY", bound)
		p := b.Start(shell(`echo "pid: $$"; echo "proxy: $HTTPS_PROXY"; exec sleep 60`)...)
		p.Await("proxy: ")
		pid := field(p.Stdout(), "pid")
		if err := p.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		bed.Eventually(t, "the child has ended", func() bool {
			stat, err := os.ReadFile("/proc/" + pid + "/stat")
			return err != nil || strings.Contains(string(stat), ") Z ")
		})
		p.Wait()
		left, err := filepath.Glob(b.Path("home/tmp/kz-run-*"))
		if err != nil || len(left) != 1 {
			t.Fatalf("the killed run has left %v %v", left, err)
		}
		old := time.Now().Add(-time.Hour) // a young one may belong to a run that is about to start
		if err := os.Chtimes(left[0], old, old); err != nil {
			t.Fatal(err)
		}
		b.Run("/bin/sleep", "1").Succeeds(t)
		nothingLeft(t, b, field(p.Stdout(), "proxy"))
	})
	t.Run("a signal to kz reaches the child", func(t *testing.T) {
		t.Parallel()
		b := bed.New(t)
		b.Secret("API_KEY", bound)
		p := b.Start(shell(`trap 'echo caught; exit 9' TERM; echo up; while :; do sleep 0.05; done`)...)
		p.Await("up")
		res := p.Stop()
		if res.Code != 9 || !strings.Contains(string(res.Stdout), "caught") {
			t.Errorf("exit code %d, %s", res.Code, res.Output())
		}
		leftovers(t, b)
	})
}
