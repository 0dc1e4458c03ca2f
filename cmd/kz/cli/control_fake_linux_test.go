package cli

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// listen opens a socket among those of sessions, which does with each connection what it is told to.
func listen(t *testing.T, dir, name string, then func(net.Conn)) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, name+socketSuffix))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			then(c)
		}
	}()
}

func hangUp(c net.Conn) { _ = c.Close() }

func TestASessionThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	a, _, _ := testApp("HOME=" + home)
	state, err := a.stateDir()
	if err != nil {
		t.Fatal(err)
	}
	if a.sessionSaysSo(false) {
		t.Error("without a session there is one")
	}
	listen(t, filepath.Join(state, "control"), "1.1", hangUp)
	if !a.sessionSaysSo(false) {
		t.Error("one that cannot see its ancestors is outside of a session that hangs up")
	}
	a.inSession = func() bool { return a.sessionSaysSo(false) }
	socket := filepath.Join(state, "control", "1.1"+socketSuffix)
	if err := a.outsideSession("kz proxy"); err == nil || !strings.Contains(err.Error(), "it cannot be told whether this is inside a blind session, as "+socket+" does not say so") {
		t.Errorf("the reason given is %v", err)
	}
	if a.sessionSaysSo(true) {
		t.Error("one that sees all of its ancestors is inside")
	}
}

func TestControlSocketsAreFoundWithoutTheVariable(t *testing.T) {
	t.Parallel()
	a, _, _ := testApp("HOME=" + t.TempDir())
	runtimes := t.TempDir()
	listen(t, filepath.Join(runtimes, "1000", "kz"), "1.1", hangUp)
	a.runtimes = filepath.Join(runtimes, "*")
	if paths, all := a.controlSockets(); len(paths) != 1 || !all {
		t.Errorf("found %q", paths)
	}
}

func TestReloadTellsOfSocketsThatItDoesNotAsk(t *testing.T) {
	t.Parallel()
	a, _, _ := testApp("HOME=" + t.TempDir())
	state, err := a.stateDir()
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxControlSockets + 1 {
		listen(t, filepath.Join(state, "control"), strconv.Itoa(i), hangUp)
	}
	if err := a.reloadAll(); err == nil || !strings.Contains(err.Error(), "not every session was asked") {
		t.Errorf("got %v", err)
	}
}

func TestASocketOfABlindProgramIsNoSession(t *testing.T) {
	t.Parallel()
	shell, err := exec.LookPath("sh")
	if err == nil {
		shell, err = filepath.EvalSymlinks(shell)
	}
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(shell)
	if err != nil {
		t.Fatal(err)
	}
	session := filepath.Join(t.TempDir(), sessionName)
	if err := os.WriteFile(session, program, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(session, "-c", "sleep 60 & echo $!; read end; kill $!; wait")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	line, _ := bufio.NewReader(out).ReadString('\n')
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	here, gone := func() bool { return false }, func() bool { return true }
	if !planted(peer{pid: child, gone: here}) || !planted(peer{pid: os.Getpid(), gone: gone}) {
		t.Error("a socket of a blind program is believed, or one whose process has ended")
	}
	if planted(peer{pid: cmd.Process.Pid, gone: here}) || planted(peer{pid: os.Getpid(), gone: here}) {
		t.Error("a session is not believed")
	}
}
