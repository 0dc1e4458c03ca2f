package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"kz/test/bed"
	"kz/test/canary"
)

// machine is one with Docker on it, that has an address in the network of its containers.
type machine struct {
	t       *testing.T
	b       *bed.Bed
	value   string
	outer   *outer
	enter   []string // of nsenter: where its commands run
	network network
	home    string
	env     []string
}

const gateway = "172.30.250.1"

// newMachine has kz and a docker on its PATH that starts containers as this test does, in the one network that recipes make.
func newMachine(t *testing.T, im image) *machine {
	t.Helper()
	m := &machine{t: t, b: bed.New(t), value: canary.Value("k-"), home: t.TempDir()}
	m.b.Watch("OPENAI_API_KEY", m.value)
	m.outer, m.network = newOuter(t, m.b), newNetwork(t)
	agent := newNetwork(t)
	join("kz", m.network, gateway+"/24", agent, "172.30.250.2/24")
	join("outer", m.network, "198.51.100.2/24", m.outer.network, "198.51.100.1/24")
	m.network.ip("route", "add", "default", "via", "198.51.100.1")
	root, _ := agentRoot(t)
	bin := filepath.Join(m.home, "bin")
	docker := fmt.Sprintf("#!/bin/sh\nexec %s @docker %s %d \"$@\"\n", bed.Self(t), root, agent.pid)
	for _, err := range []error{os.Mkdir(bin, 0o755), os.WriteFile(filepath.Join(bin, "docker"), []byte(docker), 0o755), os.Symlink(filepath.Join(im.root, "kz"), filepath.Join(bin, "kz"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	m.env = []string{"PATH=" + bin + ":" + bed.Path, "HOME=" + m.home, "TMPDIR=" + t.TempDir()}
	m.enter = []string{"--net=" + m.network.path()}
	return m
}

// config is a configuration whose secret is in a variable.
func (m *machine) config() []byte {
	return []byte(`
[backends.given]
type = "env"
[secrets.OPENAI_API_KEY]
backend = "given"
name    = "OPENAI_API_KEY"
hosts   = ["api.test"]
[egress]
allow_private = ["192.0.2.0/24"]
upstream_ca   = "` + m.b.Path("etc/ca.pem") + `"
resolve       = { "api.test:443" = "` + outerAddress + `:443" }
`)
}

// write puts a file below the home directory, which is where commands run.
func (m *machine) write(name string, content []byte, mode os.FileMode) {
	m.t.Helper()
	path := filepath.Join(m.home, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, mode)); err != nil {
		m.t.Fatal(err)
	}
}

// command is a script of bash, as a step of Actions runs it.
func (m *machine) command(script string, env ...string) (cmd *exec.Cmd, out *lockedBuffer) {
	cmd = exec.Command(bed.Program(m.t, "nsenter"), slices.Concat(m.enter, []string{"--", bed.Program(m.t, "bash"), "-e", "-c", script})...)
	out = new(lockedBuffer)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = m.home, slices.Concat(m.env, env), out, out
	cmd.WaitDelay = 10 * time.Second
	return cmd, out
}

func (m *machine) run(script string, env ...string) (code int, out string) {
	m.t.Helper()
	cmd, said := m.command(script, env...)
	ended := make(chan error, 1)
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(2 * time.Minute):
		_ = cmd.Process.Kill()
		m.t.Errorf("it does not end: %s", script)
		<-ended
	}
	return cmd.ProcessState.ExitCode(), said.String()
}

// dockerProgram is `@docker ROOT NETWORK …`: what the recipes use of docker, done as this test does it, and misuse of all else.
func dockerProgram(args []string) int {
	root, words := args[0], args[2:]
	pid, err := strconv.Atoi(args[1])
	if err == nil && strings.Join(words, " ") == "network create --internal --subnet 172.30.250.0/24 --gateway "+gateway+" kz" {
		return 0
	}
	c := container{root: root, network: network{pid: pid}, mounts: systemMounts(), env: []string{"PATH=" + bed.Path, "HOME=/tmp"}, user: 1000}
	var seen []string
	if err == nil {
		err = c.parse(words, &seen)
	}
	if want := "--cap-drop ALL --network kz --security-opt no-new-privileges"; err == nil && strings.Join(seen, " ") != want {
		err = fmt.Errorf("a container with %s, not %s", seen, want)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "docker:", err)
		return 2
	}
	cmd := c.command(context.Background(), os.Args[0])
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	_ = cmd.Run()
	return cmd.ProcessState.ExitCode()
}

// parse takes the flags of docker run; seen are those that are the container's walls.
func (c *container) parse(words []string, seen *[]string) error {
	if len(words) == 0 || words[0] != "run" {
		return errors.New("only run")
	}
	flags := map[string]string{}
	for words = words[1:]; len(words) > 1 && strings.HasPrefix(words[0], "-"); words = words[1:] {
		switch flag, value := words[0], words[1]; flag {
		case "--rm", "-it":
			continue
		case "--env-file":
			text, err := os.ReadFile(value)
			if err != nil {
				return err
			}
			c.env = append(c.env, strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")...)
		case "-v":
			part := strings.Split(value, ":")
			c.mounts = append(c.mounts, mount{part[0], part[1], len(part) == 3 && part[2] == "ro"})
		case "-w":
			c.dir = value
		case "--network", "--cap-drop", "--security-opt":
			flags[flag] = value
		default:
			return fmt.Errorf("%s is not known here", flag)
		}
		words = words[1:]
	}
	for _, flag := range []string{"--cap-drop", "--network", "--security-opt"} {
		*seen = append(*seen, flag, flags[flag])
	}
	if c.argv = words[1:]; len(c.argv) == 0 { // what the image would do
		c.argv = []string{"/workspace/run-agent"}
		c.mounts = append(c.mounts, mount{os.Getenv("HOME"), "/workspace", true})
	}
	return nil
}

// theAgent is a program that uses its secret, and tries to get out otherwise.
var theAgent = []byte(`#!/bin/sh
curl -sS -m 20 -f -H "Authorization: Bearer $OPENAI_API_KEY" https://api.test/echo && echo
curl -sS -m 20 --noproxy '*' http://` + outerAddress + `/ && echo GOT OUT
curl -sS -m 20 --noproxy '*' http://` + gateway + `:9465/readyz && echo GOT IN
env
`)

// tried checks what the agent has done, and said.
func (m *machine) tried(out string) {
	m.t.Helper()
	got := received(m.t, m.b, "/echo")
	if len(got) != 1 || got[0].Header.Get("Authorization") != "Bearer "+m.value || !strings.Contains(out, "kz_masked_") || strings.Contains(out, "GOT ") || len(m.outer.reachedBy()) > 0 {
		m.t.Errorf("%d requests, reached by %s: %s", len(got), m.outer.reachedBy(), out)
	}
	m.b.Clean(bed.Result{Stdout: []byte(out)})
}

type workflow struct {
	Name, On    string
	Permissions map[string]string
	Jobs        map[string]struct {
		RunsOn string `yaml:"runs-on"`
		Env    map[string]string
		Steps  []struct {
			Name, Uses, If, Run string
			Env                 map[string]string
			With                struct {
				Persist *bool `yaml:"persist-credentials"`
			}
		}
	}
}

// tryCI does the steps of ci.yaml.
func tryCI(t *testing.T, im image) {
	var w workflow
	if err := yaml.UnmarshalWithOptions([]byte(deployedText(t, "ci.yaml")), &w, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, im)
	m.write("ci/kz.toml", m.config(), 0o644)
	m.write("run-agent", theAgent, 0o755)
	if err := os.Chmod(m.home, 0o755); err != nil { // the workspace
		t.Fatal(err)
	}
	temp := t.TempDir()
	m.env = append(m.env, "RUNNER_TEMP="+temp)
	for name, v := range w.Jobs["agent"].Env {
		m.env = append(m.env, name+"="+v)
	}
	t.Cleanup(func() {
		if pid, err := strconv.Atoi(fileText(filepath.Join(temp, "kz.pid"))); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	var said []string
	for _, step := range w.Jobs["agent"].Steps {
		if keeps := step.With.Persist; strings.HasPrefix(step.Uses, "actions/checkout@") && (keeps == nil || *keeps) {
			t.Error("the token of the job is in the workspace, where the agent reads it") // as actions/checkout has it
		}
		if step.Run == "" {
			continue
		}
		var env []string
		for name, v := range step.Env {
			env = append(env, name+"="+strings.ReplaceAll(v, "${{ secrets.OPENAI_API_KEY }}", m.value))
		}
		code, out := m.run(step.Run, env...)
		if code != 0 {
			t.Fatalf("%s: %d %s\n%s", step.Name, code, out, fileText(filepath.Join(temp, "kz.log")))
		}
		said = append(said, out)
	}
	if len(said) != 3 || !strings.Contains(said[0], "ready") || !strings.Contains(said[2], "swapped in 1 request") && !strings.Contains(said[2], "stopping") {
		t.Errorf("the steps say %q", said)
	}
	m.tried(strings.Join(said, "\n"))
	left, err := filepath.Glob(filepath.Join(temp, "*"))
	if want := []string{"audit.jsonl", "ca", "kz.log", "kz.pid"}; err != nil || len(left) != len(want) {
		t.Errorf("it leaves %s, %v", left, err)
	}
}

// tryTopic does what `kz help containers` prints for a Linux machine with Docker.
func tryTopic(t *testing.T, im image) {
	newMachine(t, im).followTopic(filepath.Join(im.root, "kz"))
}

func (m *machine) followTopic(kz string) {
	t := m.t
	t.Helper()
	m.env = append(m.env, "IMAGE=image")
	m.write(".config/keyzero/config.toml", m.config(), 0o600)
	m.write("run-agent", theAgent, 0o755)
	if err := os.Chmod(m.home, 0o755); err != nil {
		t.Fatal(err)
	}
	help, err := exec.Command(kz, "help", "containers").Output()
	if err != nil {
		t.Fatal(err)
	}
	section, _, found := bytes.Cut(help, []byte("\nWhich address\n"))
	if !found {
		t.Fatalf("the topic is another one: %s", help)
	}
	ran := 0
	var all strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(string(section), "\\\n", " ")) {
		command, isKz := strings.CutPrefix(strings.TrimSpace(line), "$ ")
		switch {
		case isKz && strings.HasPrefix(command, "kz proxy"):
			cmd, out := m.command("exec "+command, "OPENAI_API_KEY="+m.value)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				_ = cmd.Process.Signal(syscall.SIGTERM)
				if err := cmd.Wait(); err != nil {
					t.Errorf("kz proxy ends with %v: %s", err, out)
				}
				m.b.Clean(bed.Result{Stdout: []byte(out.String())})
			})
			bed.Eventually(t, "client.env is there", func() bool {
				_, err := os.Stat(filepath.Join(m.home, ".kz-agent", "client.env"))
				return err == nil
			})
		case isKz, strings.HasPrefix(command, "docker "):
			code, out := m.run(command)
			if code != 0 {
				t.Errorf("%s: %d %s", command, code, out)
			}
			all.WriteString(out)
		default:
			continue
		}
		ran++
	}
	if ran != 5 || !strings.Contains(all.String(), "ready\n") {
		t.Errorf("%d commands say %s", ran, all.String())
	}
	m.tried(all.String())
}
