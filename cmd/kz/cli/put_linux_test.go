package cli

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kz/test/bed"
)

// screen is what a person sees of a kz that has a terminal, and where they type.
type screen struct {
	cmd    *exec.Cmd
	master *os.File
	mu     sync.Mutex
	text   strings.Builder
	ended  chan struct{}
}

// onScreen starts kz, with the configuration, on a terminal of its own.
func (w awsWorld) onScreen(t *testing.T, command string, args ...string) *screen {
	t.Helper()
	return onScreen(t, filepath.Dir(w.file), w.env, slices.Concat([]string{command, "--config", w.file}, args)...)
}

// onScreen starts kz in a directory, on a terminal of its own.
func onScreen(t *testing.T, dir string, env []string, args ...string) *screen {
	t.Helper()
	master, slave := bed.Terminal(t)
	defer slave.Close()
	s := &screen{cmd: exec.Command("kz", args...), master: master, ended: make(chan struct{})}
	s.cmd.Env, s.cmd.Dir = append(env, "TERM=xterm", "NO_COLOR=1"), dir
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = slave, slave, slave
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.ended)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			s.mu.Lock()
			s.text.Write(buf[:n])
			s.mu.Unlock()
			if err != nil { // EIO once nobody has the other end
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = master.Close()
	})
	return s
}

func (s *screen) shows() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await waits until something holds.
func (s *screen) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) || s.isOver() && !holds() {
			t.Fatalf("not yet: %s; it shows %q", what, s.shows())
		}
	}
}

func (s *screen) echoes() bool {
	state, err := unix.IoctlGetTermios(int(s.master.Fd()), unix.TCGETS)
	return err != nil || state.Lflag&unix.ECHO != 0
}

// asked waits for a question whose answer is not shown.
func (s *screen) asked(t *testing.T, question string) {
	t.Helper()
	s.await(t, question, func() bool { return strings.HasSuffix(s.shows(), question) && !s.echoes() })
}

func (s *screen) types(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(s.master, text); err != nil {
		t.Fatal(err)
	}
}

func (s *screen) exit(t *testing.T) (code int) {
	t.Helper()
	code = endedWith(t, s.cmd)
	s.await(t, "the end of what it shows", s.isOver)
	return code
}

// isOver: nothing more will be shown.
func (s *screen) isOver() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

func TestPutAsksOnTheTerminal(t *testing.T) {
	t.Parallel()
	t.Run("and shows nothing of the answer but its length", func(t *testing.T) {
		t.Parallel()
		w := newAWSWorld(t, putConfig)
		s := w.onScreen(t, "put", "KEY")
		s.asked(t, "kz: the value of KEY: ")
		s.types(t, "canary-value\n")
		if code := s.exit(t); code != 0 || w.written() != "canary-value" {
			t.Errorf("exit code %d, stored %q", code, w.written())
		}
		if text := s.shows(); strings.Contains(text, "canary") || !strings.Contains(text, "kz: read 12 bytes") || !strings.Contains(text, "kz: stored KEY in aws") {
			t.Errorf("it shows %q", text)
		}
	})
	t.Run("and what was typed before is no answer", func(t *testing.T) {
		t.Parallel()
		w := newAWSWorld(t, putConfig)
		s := w.onScreen(t, "put", "KEY")
		s.types(t, "too-early\n") // before kz is up
		s.asked(t, "kz: the value of KEY: ")
		s.types(t, "canary-value\n")
		if code := s.exit(t); code != 0 || w.written() != "canary-value" {
			t.Errorf("exit code %d, stored %q", code, w.written())
		}
	})
	t.Run("and an interruption leaves the terminal as it was", func(t *testing.T) {
		t.Parallel()
		w := newAWSWorld(t, putConfig)
		s := w.onScreen(t, "put", "KEY")
		keep, err := os.OpenFile(s.slave(t), os.O_RDWR|unix.O_NOCTTY, 0) // its state stays while someone has it
		if err != nil {
			t.Fatal(err)
		}
		defer keep.Close()
		s.asked(t, "kz: the value of KEY: ")
		s.types(t, "canary\x03")
		_ = s.cmd.Wait()
		if code := s.cmd.ProcessState.ExitCode(); code != 130 || !s.echoes() || w.written() != "" {
			t.Errorf("exit code %d, echo %v, stored %q", code, s.echoes(), w.written())
		}
	})
	t.Run("and takes neither several lines nor one that may be cut", func(t *testing.T) {
		t.Parallel()
		for typed, want := range map[string]string{
			"-----BEGIN-----\ncanary\n-----END-----\n": "more than one line",
			strings.Repeat("canary", 682) + "car\n":    "a terminal takes lines of 4095 bytes at most",
			"\n":                                       "the value is empty",
		} {
			w := newAWSWorld(t, putConfig)
			s := w.onScreen(t, "put", "KEY")
			s.asked(t, "kz: the value of KEY: ")
			s.types(t, typed)
			if code := s.exit(t); code != exitFailure || w.written() != "" || !strings.Contains(s.shows(), want) || !strings.Contains(s.shows(), "kz: error: ") {
				t.Errorf("%.20q: exit code %d, stored %q, it shows %q", typed, code, w.written(), s.shows())
			}
		}
	})
}

// slave is the path of the terminal's other side.
func (s *screen) slave(t *testing.T) string {
	t.Helper()
	n, err := unix.IoctlGetInt(int(s.master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint("/dev/pts/", n)
}

func TestPutMissingAsksForWhatIsNotThere(t *testing.T) {
	t.Parallel()
	w := newAWSWorld(t, `[backends.aws]
type = "aws_secrets_manager"
region = "us-east-1"
[backends.file]
type = "env_file"
path = "absent.env"
[secrets.THERE]
backend = "aws"
secret_id = "there"
[secrets.FIRST]
backend = "aws"
secret_id = "first"
[secrets.SAME]
backend = "aws"
secret_id = "first"
[secrets.SECOND]
backend = "aws"
secret_id = "second"
[secrets.THIRD]
backend = "aws"
secret_id = "third"
[secrets.OTHER]
backend = "aws"
secret_id = "there"
field = "none"
[secrets.READ]
backend = "file"
`)
	w.Put("there", "canary-there")
	s := w.onScreen(t, "put", "--missing")
	s.asked(t, "kz: the value of FIRST, for aws; nothing leaves it out: ")
	s.types(t, "canary-first\n")
	s.asked(t, "kz: the value of SECOND, for aws; nothing leaves it out: ")
	s.types(t, "\n")
	s.asked(t, "kz: the value of THIRD, for aws; nothing leaves it out: ")
	if got := w.written(); got != "canary-first" {
		t.Errorf("stored %q", got)
	}
	s.types(t, "canary-third\n")
	code, text := s.exit(t), s.shows()
	if code != exitFailure || w.written() != "canary-third" || strings.Contains(text, "canary") || strings.Contains(text, "SAME") {
		t.Errorf("exit code %d, stored %q, it shows %q", code, w.written(), text)
	}
	for _, want := range []string{"left out SECOND", "stored FIRST in aws", "stored THIRD in aws", "resolving OTHER: aws: field missing", "storing READ: kz only reads the backend file"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q: %q", want, text)
		}
	}
}

func TestProgressIsShownOnATerminalAndTakenBack(t *testing.T) {
	t.Parallel()
	w := newAWSWorld(t, strings.Replace(putConfig, "[secrets.PART]", "[secrets.OTHER]\nsecret_id = \"other\"\n[secrets.PART]", 1))
	w.slow.Store(int64(500 * time.Millisecond))
	s := w.onScreen(t, "status")
	s.await(t, "the line", func() bool { return strings.Contains(s.shows(), "kz: resolving 4 secrets: aws 0 of 4 …") })
	s.exit(t)
	text := s.shows()
	last := text[strings.LastIndex(text, "…")+len("…"):]
	if blank := "\r" + strings.Repeat(" ", len("kz: resolving 4 secrets: aws 0 of 4 .")) + "\r"; !strings.HasPrefix(last, blank) {
		t.Errorf("it is not taken back: %q", last)
	}
	if _, stdout, stderr := w.kz(t, "", "status"); strings.Contains(stdout+stderr, "resolving 4 secrets") {
		t.Errorf("without a terminal: %s%s", stdout, stderr)
	}
}

func TestProgressOfARunIsGoneWhenItsProgramBegins(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"--clean-env", "--blind"} {
		t.Run("with "+mode, func(t *testing.T) {
			t.Parallel()
			w := newAWSWorld(t, "[backends.aws]\ntype = \"aws_secrets_manager\"\nregion = \"us-east-1\"\n[secrets.KEY]\nsecret_id = \"prod/key\"\nhosts = [\"api.test\"]\n")
			w.Put("prod/key", "canary-value")
			w.slow.Store(int64(1300 * time.Millisecond))
			s := w.onScreen(t, "run", mode, "--", "/bin/echo", "the program")
			if code := s.exit(t); code != 0 {
				t.Fatalf("exit code %d: %q", code, s.shows())
			}
			text := s.shows()
			const line = "kz: resolving 1 secret: aws 0 of 1 …"
			before, after, found := strings.Cut(text, "the program")
			if !found || !strings.Contains(before, line) || strings.Contains(after, line) || !strings.Contains(before[strings.LastIndex(before, "…"):], strings.Repeat(" ", len(line)-2)+"\r") {
				t.Errorf("it shows %q", text)
			}
		})
	}
}
