//go:build unix

package cli

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// long starts kz-long and returns its output from after its first line.
func long(t *testing.T, env ...string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command("kz-long")
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.StdoutPipe()
	if err == nil {
		cmd.Stderr = cmd.Stdout
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	r := bufio.NewReader(out)
	expectLine(t, r, "up")
	return cmd, r
}

func expectLine(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, want) {
		t.Fatalf("line %q, %v; want %q", line, err, want)
	}
}

func TestASignalLetsACommandCleanUp(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]int{"INT": 130, "TERM": 143, "HUP": 129, "QUIT": 131} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd, out := long(t)
			if err := cmd.Process.Signal(signalNames[name]); err != nil {
				t.Fatal(err)
			}
			expectLine(t, out, "cleaned up")
			expectLine(t, out, "kz: error: interrupted")
			if got := endedWith(t, cmd); got != code {
				t.Errorf("exit code %d, want %d", got, code)
			}
		})
	}
}

func TestASecondSignalEndsKzAtOnce(t *testing.T) {
	t.Parallel()
	cmd, out := long(t, "KZ_TEST_STUCK=1")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"cleaned up", "kz: error: ", "stuck"} {
		expectLine(t, out, line)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := endedWith(t, cmd); got != -1 {
		t.Errorf("exit code %d, want a death by the signal", got)
	}
}

func TestNoChildIsStartedOnceInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(background())
	cancel(interrupted(syscall.SIGTERM))
	marker := t.TempDir() + "/started"
	_, err := runChild(ctx, childSpec{Argv: []string{"/bin/sh", "-c", "touch " + marker}})
	if exitCode(err) != 143 {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("it was started")
	}
}
