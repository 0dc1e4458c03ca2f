package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kz/test/bed"
)

var platformPrograms = map[string]func(){
	"kz-shell":    shellProgram,
	"kz-counter":  counterProgram,
	"kz-stopper":  stopperProgram,
	"kz-resumer":  resumerProgram,
	"kz-hiccup":   hiccupProgram,
	"kz-hardened": hardenedProgram,
	"kz-asker":    askerProgram,
	"kz-voucher":  voucherProgram,
	"kz-dialler":  diallerProgram,
	"exe":         diallerProgram, // as /proc/self/exe, where another user finds no other way to it
}

// counterProgram counts the signals it gets, until none has come for a while, and ends with 7.
func counterProgram() {
	c := make(chan os.Signal, 16)
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM)
	fmt.Println("up")
	n := 0
	quiet := time.Minute
	for {
		select {
		case <-c:
			n++
			fmt.Println("got one")
			quiet = 500 * time.Millisecond
		case <-time.After(quiet):
			fmt.Printf("signals=%d\n", n)
			os.Exit(7)
		}
	}
}

// stopperProgram stops itself, and only itself, as a program in raw mode does at Ctrl-Z.
func stopperProgram() {
	fmt.Println("up")
	_ = unix.Kill(os.Getpid(), unix.SIGSTOP)
	time.Sleep(200 * time.Millisecond)
	os.Exit(9)
}

// resumerProgram waits to be stopped and resumed.
func resumerProgram() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGCONT)
	fmt.Println("up")
	<-c
	time.Sleep(200 * time.Millisecond)
	os.Exit(9)
}

// hiccupProgram stops itself and is resumed at once.
func hiccupProgram() {
	_ = exec.Command("sh", "-c", "sleep 0.005; kill -CONT "+strconv.Itoa(os.Getpid())).Start()
	_ = unix.Kill(os.Getpid(), unix.SIGSTOP)
	time.Sleep(200 * time.Millisecond)
	os.Exit(9)
}

// shellProgram is a shell with one job in the foreground: it resumes the job whenever it
// stops, and says how often that was.
func shellProgram() {
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Foreground: true, Ctty: 0}
	if err := cmd.Start(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for stops := 0; ; {
		var status unix.WaitStatus
		_, err := unix.Wait4(cmd.Process.Pid, &status, unix.WUNTRACED, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			fmt.Println(err)
			os.Exit(1)
		case status.Stopped():
			stops++
			time.Sleep(100 * time.Millisecond)
			_ = unix.Kill(-cmd.Process.Pid, unix.SIGCONT)
		default:
			signal.Ignore(syscall.SIGTTOU)
			fmt.Printf("stops=%d code=%d\n", stops, status.ExitStatus())
			os.Exit(0)
		}
	}
}

// terminal is the other end of a pseudo-terminal.
type terminal struct {
	master *os.File
	lines  chan string
}

// onTerminal starts a program as the leader of a session on a new terminal.
func onTerminal(t *testing.T, argv ...string) (*terminal, *exec.Cmd) {
	t.Helper()
	master, slave := bed.Terminal(t)
	defer slave.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	term := &terminal{master: master, lines: make(chan string, 100)}
	go func() {
		s := bufio.NewScanner(master)
		for s.Scan() {
			term.lines <- s.Text()
		}
		close(term.lines)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = master.Close()
	})
	return term, cmd
}

// expect reads lines until one contains a text.
func (term *terminal) expect(t *testing.T, text string) string {
	t.Helper()
	var seen []string
	timeout := time.After(20 * time.Second)
	for {
		select {
		case line, ok := <-term.lines:
			if strings.Contains(line, text) {
				return line
			}
			seen = append(seen, line)
			if !ok {
				t.Fatalf("the terminal closed; no %q in %q", text, seen)
			}
		case <-timeout:
			t.Fatalf("no %q in %q", text, seen)
		}
	}
}

func (term *terminal) press(t *testing.T, key string) {
	t.Helper()
	if _, err := io.WriteString(term.master, key); err != nil {
		t.Fatal(err)
	}
}

func TestCtrlCReachesTheChildOnceAndKzWaitsForIt(t *testing.T) {
	t.Parallel()
	term, cmd := onTerminal(t, "kz-child", "kz-counter")
	term.expect(t, "up")
	// With kz held back, what it passes on comes clearly after what the keyboard sends:
	// two signals in quick succession may be delivered as one.
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	term.press(t, "\x03")
	term.expect(t, "got one")
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if line := term.expect(t, "signals="); !strings.Contains(line, "signals=1") {
		t.Errorf("the child got %s", line)
	}
	if code := endedWith(t, cmd); code != 7 {
		t.Errorf("exit code %d, want the child's", code)
	}
}

func TestSIGTERMToKzInTheForegroundReachesTheChildOnce(t *testing.T) {
	t.Parallel()
	term, cmd := onTerminal(t, "kz-child", "kz-counter")
	term.expect(t, "up")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if line := term.expect(t, "signals="); !strings.Contains(line, "signals=1") {
		t.Errorf("the child got %s", line)
	}
	if code := endedWith(t, cmd); code != 7 {
		t.Errorf("exit code %d, want the child's", code)
	}
}

func TestAChildThatDiesOfCtrlCEndsKzWith130(t *testing.T) {
	t.Parallel()
	term, cmd := onTerminal(t, "kz-child", "sh", "-c", "echo up; exec sleep 100")
	term.expect(t, "up")
	term.press(t, "\x03")
	if code := endedWith(t, cmd); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
}

func TestCtrlZStopsAndFgResumes(t *testing.T) {
	t.Parallel()
	term, _ := onTerminal(t, "kz-shell", "kz-child", "kz-resumer")
	term.expect(t, "up")
	term.press(t, "\x1a")
	if line := term.expect(t, "stops="); !strings.HasSuffix(line, "stops=1 code=9") {
		t.Errorf("got %q", line)
	}
}

func TestAChildThatStopsItselfStopsKz(t *testing.T) {
	t.Parallel()
	term, _ := onTerminal(t, "kz-shell", "kz-child", "kz-stopper")
	if line := term.expect(t, "stops="); !strings.HasSuffix(line, "stops=1 code=9") {
		t.Errorf("got %q", line)
	}
}

func TestAChildThatIsResumedAtOnceDoesNotStopKz(t *testing.T) {
	t.Parallel()
	line := ""
	for range 10 { // on a busy machine "at once" may be too late
		term, _ := onTerminal(t, "kz-shell", "kz-child", "kz-hiccup")
		if line = term.expect(t, "stops="); strings.HasSuffix(line, "stops=0 code=9") {
			return
		}
	}
	t.Errorf("got %q", line)
}

func TestTheChildHasTheTerminal(t *testing.T) {
	t.Parallel()
	term, cmd := onTerminal(t, "kz-child", "sh", "-c", "test -t 0 && test -t 1 && test -t 2 && tty && stty size >/dev/null && echo terminal")
	term.expect(t, "/dev/pts/")
	term.expect(t, "terminal")
	if code := endedWith(t, cmd); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestAKilledKzTakesTheChildWithIt(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("kz-child", "sh", "-c", "echo $$; exec sleep 100")
	line := startAndWait(t, cmd, "")
	child := strings.TrimSpace(line)
	if !alive(child) {
		t.Fatalf("child %q is not running", child)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = endedWith(t, cmd)
	for deadline := time.Now().Add(10 * time.Second); alive(child); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the child lives on")
		}
	}
}

// alive: there is such a process, and it is no zombie.
func alive(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

func TestDescriptors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, sealed, want string }{
		{"of the caller reach a plain child", "", "inherited\n"},
		{"of the caller do not reach a sealed child", "KZ_TEST_SEALED=1", "closed\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			defer w.Close()
			cmd := exec.Command("kz-child", "sh", "-c", "if test -e /proc/self/fd/3; then echo inherited; else echo closed; fi")
			cmd.ExtraFiles = []*os.File{w}
			cmd.Env = append(os.Environ(), tt.sealed)
			out, err := cmd.Output()
			if err != nil || string(out) != tt.want {
				t.Errorf("got %q, %v", out, err)
			}
		})
	}
}

func TestNoDescriptorOfKzReachesTheChild(t *testing.T) {
	t.Parallel()
	list := func(argv ...string) string {
		out, err := exec.Command(argv[0], argv[1:]...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if with, without := list("kz-child", "ls", "/proc/self/fd"), list("ls", "/proc/self/fd"); with != without {
		t.Errorf("with kz %q, without %q", with, without)
	}
}

// hardenedProgram says what harden has done to it.
func hardenedProgram() {
	p, err := harden()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	var core unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_CORE, &core)
	fmt.Printf("dumpable=%d %v core=%d before=%d\n", dumpable, err, core.Cur, p.coreLimit)
	fmt.Println(strings.Join(os.Environ(), "\n"))
}

func TestHarden(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sh", "-c", "ulimit -Sc 100 && exec kz-hardened")
	cmd.Env = append(os.Environ(), "SSL_CERT_FILE=x", "SSL_CERT_DIR=x", "GODEBUG=x=1", "SSLKEYLOGFILE=x", "HOSTALIASES=x", "KEPT=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !strings.HasPrefix(string(out), "dumpable=0 <nil> core=0 before=") || strings.Contains(string(out), "before=0") {
		t.Errorf("got %s", out)
	}
	for _, name := range ownVariables {
		if strings.Contains(string(out), "\n"+name+"=") {
			t.Errorf("kz still has %s", name)
		}
	}
	if !strings.Contains(string(out), "KEPT=1") {
		t.Error("other variables are gone")
	}
}

func TestTheChildKeepsItsCoreLimitAndTheVariablesOfItsUser(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sh", "-c", `ulimit -Sc 100; exec kz-child sh -c 'sleep 0.2; ulimit -Sc; echo $SSL_CERT_FILE; umask'`)
	cmd.Env = append(os.Environ(), "SSL_CERT_FILE=mine")
	out, err := cmd.Output()
	if got := strings.Fields(string(out)); err != nil || len(got) != 3 || got[0] != "100" || got[1] != "mine" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestSessionByAncestry(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, env, want string }{
		{"a child of a session is refused without the variable", "KZ_TEST_SESSION=1", "refused\n"},
		{"a child of a plain run is not", "", "allowed\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command("kz-child", "sh", "-c", "sh -c kz-guard; true")
			cmd.Env = append(os.Environ(), tt.env)
			out, err := cmd.CombinedOutput()
			if err != nil || string(out) != tt.want {
				t.Errorf("got %q, %v", out, err)
			}
		})
	}
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		stat, name string
		parent     int
		ok         bool
	}{
		{"12 (kz-blind) S 7 12 12 0", "kz-blind", 7, true},
		{"12 (a) (b) c) S 7 12", "a) (b) c", 7, true},
		{"12 (kz-blind", "", 0, false},
		{"12 () S", "", 0, false},
		{"", "", 0, false},
	} {
		if name, parent, ok := parseStat(tt.stat); name != tt.name || parent != tt.parent || ok != tt.ok {
			t.Errorf("%q: %q %d %v", tt.stat, name, parent, ok)
		}
	}
}
