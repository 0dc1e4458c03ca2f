package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kz/test/bed"
	"kz/test/canary"
	"kz/test/origin"
)

// TestQuickStart takes each command of `kz help quickstart` as it is printed there, one after the other, from an empty
// directory and an environment of HOME and PATH alone, to a blind program that has called an API. A person's answers come
// from the test; so does the one thing that is no person's, a file of the user's own that leads api.openai.com to an origin here.
func TestQuickStart(t *testing.T) {
	t.Parallel()
	bed.Program(t, "curl")
	b := bed.New(t)
	o, err := origin.Start(origin.Options{Hosts: []string{"api.openai.com"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	b.Origin = o
	value := canary.Value("sk-proj-")
	b.Watch("OPENAI_API_KEY", value)
	own := fmt.Sprintf("[egress]\nallow_private = [\"127.0.0.0/8\"]\nupstream_ca = %q\nresolve = { \"api.openai.com:443\" = %q }\n", b.Path("etc/own-ca.pem"), o.Addr("tls"))
	for path, text := range map[string]string{"etc/own-ca.pem": string(o.CAPEM()), "home/.config/keyzero/config.toml": own} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(b.Path(path)), 0o700), os.WriteFile(b.Path(path), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(b.Path("home/tmp")); err != nil {
		t.Fatal(err)
	}
	project := b.Path("home/project")
	if err := os.Mkdir(project, 0o700); err != nil {
		t.Fatal(err)
	}
	topic, err := os.ReadFile("../../cmd/kz/cli/topics/quickstart.txt")
	if err != nil {
		t.Fatal(err)
	}
	commands := printedCommands(string(topic))
	answers := map[string]string{"Approve it? [y/N] ": "y\n", "kz: the value of OPENAI_API_KEY: ": value + "\n"}
	env := []string{"HOME=" + b.Path("home"), "PATH=" + filepath.Dir(bed.KZ(t)) + ":" + bed.Path}
	var said []bed.Result
	begin := time.Now()
	for _, command := range commands {
		code, text := typed(t, project, env, command, answers)
		said = append(said, bed.Result{Stdout: []byte(text), Code: code})
		if code != 0 {
			t.Fatalf("%s: exit code %d\n%s", command, code, text)
		}
		if strings.Contains(text, "kz: error") {
			t.Errorf("%s: it shows\n%s", command, text)
		}
		if strings.HasPrefix(command, "kz run") && !regexp.MustCompile(`(?s)kz_masked_[0-9a-f]{32}\r\nok.*OPENAI_API_KEY`).MatchString(text) {
			t.Errorf("%s: it shows\n%s", command, text)
		}
	}
	took := time.Since(begin)
	t.Logf("the %d commands of the quick start took %v", len(commands), took.Round(time.Millisecond))
	if took > time.Minute {
		t.Errorf("the quick start took %v", took)
	}
	if got := received(t, b, "/v1/models"); len(got) != 1 || got[0].Header.Get("Authorization") != "Bearer "+value {
		t.Errorf("the API got %d requests, or another key", len(got))
	}
	b.Clean(said...)
	if len(answers) != 2 || len(commands) < 4 {
		t.Errorf("the commands are %q", commands)
	}
}

// printedCommands are those that a topic shows: lines that begin with "  $ ", with the lines that a backslash continues.
func printedCommands(topic string) (commands []string) {
	lines := strings.Split(topic, "\n")
	for i := 0; i < len(lines); i++ {
		command, ok := strings.CutPrefix(lines[i], "  $ ")
		if !ok {
			continue
		}
		for strings.HasSuffix(command, `\`) && i+1 < len(lines) {
			i++
			command += "\n" + lines[i]
		}
		commands = append(commands, command)
	}
	return commands
}

// typed runs a command line on a terminal of its own and answers what it asks. It returns what the terminal showed.
func typed(t *testing.T, dir string, env []string, command string, answers map[string]string) (code int, shown string) {
	t.Helper()
	keys, tty := bed.Terminal(t)
	defer keys.Close()
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Dir, cmd.Env = dir, env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	err := cmd.Start()
	_ = tty.Close()
	if err != nil {
		t.Fatal(err)
	}
	stop := time.AfterFunc(bed.Timeout, func() { _ = cmd.Process.Kill() })
	defer stop.Stop()
	var text strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := keys.Read(buf)
		text.Write(buf[:n])
		for question, answer := range answers {
			if n > 0 && strings.HasSuffix(text.String(), question) {
				if strings.Contains(question, "the value of") { // a person's hands are slower than the end of the echo
					bed.Eventually(t, "what is typed is not shown", func() bool {
						state, err := unix.IoctlGetTermios(int(keys.Fd()), unix.TCGETS)
						return err != nil || state.Lflag&unix.ECHO == 0
					})
				}
				if _, err := io.WriteString(keys, answer); err != nil {
					t.Error(err)
				}
			}
		}
		if err != nil { // EIO once nobody has the other end
			break
		}
	}
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode(), text.String()
}
