package e2e_test

import (
	"fmt"
	"os"
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

// service is a service of compose.yaml, in the fields that it uses.
type service struct {
	Image       string
	Build       map[string]string
	Command     []string
	Entrypoint  []string
	Environment map[string]string
	Secrets     []string
	User        string
	GroupAdd    []string `yaml:"group_add"`
	Volumes     []string
	Networks    map[string]struct {
		Address string `yaml:"ipv4_address"`
	}
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	Healthcheck struct {
		Test          []string
		Interval      string
		Timeout       string
		StartPeriod   string `yaml:"start_period"`
		StartInterval string `yaml:"start_interval"`
	}
	StopGracePeriod string `yaml:"stop_grace_period"`
	Restart         string
	DependsOn       map[string]struct{ Condition string } `yaml:"depends_on"`
}

type composition struct {
	Name     string
	Services map[string]service
	Networks map[string]struct {
		Internal bool
		IPAM     struct{ Config []struct{ Subnet string } }
	}
	Volumes map[string]struct{}
	Secrets map[string]struct{ File string }
}

func theComposition(t *testing.T) composition {
	t.Helper()
	var c composition
	if err := yaml.UnmarshalWithOptions([]byte(deployedText(t, "compose.yaml")), &c, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	return c
}

// containerConfig takes the place of kz.toml: a secret that comes with the token's file, for the origin of the world outside.
func containerConfig(t *testing.T, b *bed.Bed) (dir, value string) {
	t.Helper()
	dir, value = ownedDir(t, 0, 0, 0o755), canary.Value("k-")
	b.Watch("API_KEY", value)
	ca, err := os.ReadFile(b.Path("etc/ca.pem"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "upstream.pem"), ca, 0o644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "kz.toml"), []byte(`
[backends.files]
type = "env"
[secrets.API_KEY]
backend = "files"
name    = "VAULT_TOKEN"
hosts   = ["api.test"]
[egress]
allow_private = ["192.0.2.0/24"]
upstream_ca   = "/etc/kz/upstream.pem"
resolve       = { "api.test:443" = "`+outerAddress+`:443" }
`), 0o644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "token"), []byte(value+"\n"), 0o444)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir, value
}

// volumeOf is a new volume for a directory of an image: an engine gives it that one's owner and mode.
func volumeOf(t *testing.T, im image, dir string) string {
	t.Helper()
	info, err := os.Stat(filepath.Join(im.root, dir))
	if err != nil {
		t.Fatal(err)
	}
	return ownedDir(t, im.user, im.user, info.Mode())
}

func ownedDir(t *testing.T, uid, gid int, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "volume")
	for _, err := range []error{os.Mkdir(path, 0o700), os.Chown(path, uid, gid), os.Chmod(path, mode)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// composed is what compose.yaml makes, with the two containers not yet started.
type composed struct {
	composition
	b         *bed.Bed
	value     string
	outer     *outer
	kz, agent container
	client    string // the volume between the two
}

func compose(t *testing.T, im image) *composed {
	t.Helper()
	c := &composed{composition: theComposition(t), b: bed.New(t)}
	config, value := containerConfig(t, c.b)
	c.value = value
	kz, agent := c.Services["kz"], c.Services["agent"]
	address := kz.Networks["inner"].Address
	agentAddress := strings.TrimSuffix(address, ".2") + ".3"

	c.outer = newOuter(t, c.b)
	inner, between := newNetwork(t), newNetwork(t)
	join("inner", inner, agentAddress+"/24", between, address+"/24")
	join("outer", between, "198.51.100.2/24", c.outer.network, "198.51.100.1/24")
	between.ip("route", "add", "default", "via", "198.51.100.1")

	volumes := map[string]string{"./kz.toml": filepath.Join(config, "kz.toml")}
	for name := range c.Volumes {
		volumes[name] = volumeOf(t, im, name)
	}
	c.client = volumes["client"]
	mounts := func(s service) (all []mount) {
		for _, v := range s.Volumes {
			part := strings.Split(v, ":")
			from, known := volumes[part[0]]
			if !known {
				t.Fatalf("what is %s?", v)
			}
			if part[0] == "./kz.toml" { // and what it points to
				from, part[1] = config, filepath.Dir(part[1])
			}
			all = append(all, mount{from, part[1], len(part) == 3 && part[2] == "ro"})
		}
		return all
	}
	c.kz = container{root: im.root, readOnly: kz.ReadOnly, dir: im.dir, network: between, user: im.user, env: slices.Clone(im.env),
		mounts: mounts(kz), argv: slices.Concat(im.entrypoint, kz.Command)}
	for name, v := range kz.Environment {
		c.kz.env = append(c.kz.env, name+"="+v)
	}
	for _, name := range kz.Secrets {
		if c.Secrets[name].File == "" {
			t.Errorf("the secret %s has no file", name)
		}
		at := ownedDir(t, 0, 0, 0o755)
		token, err := os.ReadFile(filepath.Join(config, "token"))
		if err == nil {
			err = os.WriteFile(filepath.Join(at, name), token, 0o444)
		}
		if err != nil {
			t.Fatal(err)
		}
		c.kz.mounts = append(c.kz.mounts, mount{at, "/run/secrets", true})
	}

	root, system := agentRoot(t)
	user, _, _ := strings.Cut(agent.User, ":")
	uid, err := strconv.Atoi(user)
	if err != nil {
		t.Fatal(err)
	}
	c.agent = container{root: root, network: inner, user: uid, env: []string{"PATH=" + bed.Path, "HOME=/tmp"}, mounts: append(system, mounts(agent)...)}
	for _, g := range agent.GroupAdd {
		gid, err := strconv.Atoi(g)
		if err != nil {
			t.Fatal(err)
		}
		c.agent.groups = append(c.agent.groups, gid)
	}
	hosts := filepath.Join(t.TempDir(), "hosts") // an engine answers to the names of services
	if err := os.WriteFile(hosts, []byte("127.0.0.1 localhost\n"+address+" kz\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c.agent.mounts = append(c.agent.mounts, mount{hosts, "/etc/hosts", true})
	return c
}

// inAgent is a command in the agent's container, begun as compose.yaml begins one.
func (c *composed) inAgent(argv ...string) container {
	a := c.agent
	for _, word := range c.Services["agent"].Entrypoint {
		a.argv = append(a.argv, strings.ReplaceAll(word, "$$", "$"))
	}
	a.argv = append(a.argv, argv...)
	return a
}

// healthy waits until the health check of compose.yaml says so.
func (c *composed) healthy(t *testing.T, kz *running) {
	t.Helper()
	test := c.Services["kz"].Healthcheck.Test
	if test[0] != "CMD" {
		t.Fatalf("the health check is %s", test)
	}
	healthy(t, kz, test[1:])
}

func healthy(t *testing.T, kz *running, check []string) {
	t.Helper()
	var last bed.Result
	defer func() {
		if last.Code != 0 {
			t.Logf("kz says %s\nits health check %s", kz.stderr.String(), last.Output())
		}
	}()
	bed.Eventually(t, "kz is healthy", func() bool { last = kz.exec(check...); return last.Code == 0 })
}

func tryCompose(t *testing.T, im image) {
	c := compose(t, im)
	kz := c.kz.start(t)
	c.healthy(t, kz)
	curl := bed.Program(t, "curl") + " -sS -m 20 "
	get := curl + `-f -H "Authorization: Bearer $API_KEY" https://api.test/echo`

	long := c.inAgent("/bin/sh", "-c", get+"; read go; "+get).start(t) // lives on while kz is started again
	bed.Eventually(t, "the agent's first request is answered: "+long.stderr.String(), func() bool { return len(c.b.Origin.Requests()) == 1 })
	if got := received(t, c.b, "/echo")[0].Header.Get("Authorization"); got != "Bearer "+c.value {
		t.Error("the origin did not get the value")
	}

	t.Run("the agent has masks, and what it mounts cannot be changed", func(t *testing.T) {
		res := c.inAgent("/bin/sh", "-c", `echo "$API_KEY"; env; cat /kz/*; for f in ca.pem client.env new; do echo x >/kz/$f && echo WRITTEN; done; ls /state /client /run/secrets; id`).run(t)
		if !mask.Match(res.Stdout) || strings.Contains(res.Output(), "WRITTEN") || !strings.Contains(res.Output(), "Read-only file system") || !strings.Contains(string(res.Stdout), "uid=1000") {
			t.Errorf("%s", res.Output())
		}
		for _, dir := range []string{"/state", "/client", "/run/secrets"} {
			if !strings.Contains(string(res.Stderr), dir+"'") {
				t.Errorf("it may look for %s: %s", dir, res.Stderr)
			}
		}
		c.b.Clean(res)
	})
	t.Run("the only way out is the proxy", func(t *testing.T) {
		python := bed.Python(t)
		for what, script := range map[string]string{
			"TCP":         curl + `--noproxy '*' http://` + outerAddress + `/`,
			"TLS":         curl + `-k --noproxy '*' --resolve api.test:443:` + outerAddress + ` https://api.test/echo`,
			"UDP":         python + ` -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("` + outerAddress + `", 53))'`,
			"DNS":         python + ` -c 'import socket; socket.getaddrinfo("api.test", 443)'`,
			"another one": curl + `-f https://evil.test/`,
		} {
			if res := c.inAgent("/bin/sh", "-c", script).run(t); res.Code == 0 {
				t.Errorf("%s gets out: %s", what, res.Output())
			}
		}
		if reached := c.outer.reachedBy(); len(reached) > 0 || len(c.b.Origin.Requests()) != 1 {
			t.Errorf("it was reached by %s and %d requests", reached, len(c.b.Origin.Requests()))
		}
	})
	t.Run("of kz it reaches the proxy, which asks for a credential, and nothing else", func(t *testing.T) {
		address := c.Services["kz"].Networks["inner"].Address
		res := c.inAgent("/bin/sh", "-c", curl+`-o /dev/null -w '%{http_connect}\n' -x http://kz:8080 https://api.test/echo; `+
			curl+`--noproxy '*' http://`+address+`:9465/readyz; `+curl+`--noproxy '*' -o /dev/null -w '%{http_code}\n' http://kz:8080/readyz`).run(t)
		if out := string(res.Stdout); out != "407\n400\n" && out != "407\n407\n" && out != "407\n404\n" {
			t.Errorf("%s", res.Output())
		}
		if !strings.Contains(string(res.Stderr), "port 9465") {
			t.Errorf("it reaches the health port: %s", res.Output())
		}
	})
	t.Run("a container of another user gets nothing of the env file", func(t *testing.T) {
		other := c.inAgent("/bin/sh", "-c", "cat /kz/client.env; env")
		other.groups, other.user = nil, 1001
		if res := other.run(t); res.Code == 0 || strings.Contains(res.Output(), "kz_masked_") || !strings.Contains(string(res.Stderr), "Permission denied") {
			t.Errorf("%d %s", res.Code, res.Output())
		}
	})

	t.Run("a kz that may not write what clients mount says what it needs", func(t *testing.T) {
		other := c.kz
		other.network = newNetwork(t)
		other.network.ip("address", "add", c.Services["kz"].Networks["inner"].Address+"/32", "dev", "lo")
		other.mounts = slices.Clone(other.mounts)
		for i := range other.mounts {
			switch other.mounts[i].to {
			case "/client":
				other.mounts[i].readOnly = true
			case "/state": // two at the same time have no common one
				other.mounts[i].from = volumeOf(t, im, "state")
			}
		}
		if res := other.run(t); res.Code != 125 || !strings.Contains(res.Output(), "read-only file system\nkz: hint: --ca-dir must be a directory that kz may write to") {
			t.Errorf("%d %s", res.Code, res.Output())
		}
	})

	t.Run("a kz that was killed is started again, and the agent goes on", func(t *testing.T) {
		kz.signal(syscall.SIGKILL)
		kz.wait()
		again := c.kz.start(t)
		c.healthy(t, again)
		if strings.Contains(again.stderr.String(), "will not reach this session") {
			t.Errorf("it says %s", again.stderr.String())
		}
		if res := again.exec("/kz", "reload"); res.Code != 0 || !strings.Contains(res.Output(), "every value is as before") {
			t.Errorf("kz reload beside it: %s", res.Output())
		}
		if res := again.exec("/kz", "status", "--config", "/etc/kz/kz.toml"); res.Code != 0 {
			t.Errorf("kz status beside it: %s", res.Output())
		}
		fmt.Fprintln(long.stdin, "go")
		if res := long.wait(); res.Code != 0 || len(received(t, c.b, "/echo")) != 2 {
			t.Errorf("the agent: %d %s", res.Code, res.Output())
		}
		again.signal(syscall.SIGTERM)
		end := again.wait()
		end.Exits(t, 0)
		c.b.Clean(end)
		for name, want := range map[string]os.FileMode{"client.env": 0o640, "ca.pem": 0o644, "bundle.pem": 0o644} {
			if info, err := os.Stat(filepath.Join(c.client, name)); err != nil || info.Mode() != want {
				t.Errorf("%s: %v %v", name, info, err)
			}
		}
	})
	c.b.Clean(bed.Result{Stdout: []byte(kz.stdout.String()), Stderr: []byte(kz.stderr.String())}, long.wait())
}

// tryFirstProcess stops a kz that is the first process of its container, without a session file.
func tryFirstProcess(t *testing.T, im image) {
	c := compose(t, im)
	c.kz.argv = slices.DeleteFunc(slices.Clone(c.kz.argv), func(a string) bool { return strings.HasPrefix(a, "--session-file") })
	kz := c.kz.start(t)
	c.healthy(t, kz)
	children := fmt.Sprintf("/proc/%d/task/%d/children", kz.cmd.Process.Pid, kz.cmd.Process.Pid)

	t.Run("it sees to the end of what others leave behind", func(t *testing.T) {
		pid := strconv.Itoa(kz.cmd.Process.Pid)
		orphan := c.outer.network // any network: what matters is the namespace of processes
		orphan.run(bed.Program(t, "nsenter"), "-t", pid, "-p", "--", "/bin/sh", "-c", "(sleep 0.2 &) ; exit 0")
		bed.Eventually(t, "the orphan is there", func() bool { return fileText(children) != "" })
		bed.Eventually(t, "it is reaped", func() bool { return fileText(children) == "" })
	})
	hanging := c.inAgent("/bin/sh", "-c", bed.Program(t, "curl")+" -sS https://api.test/hang").start(t)
	bed.Eventually(t, "the request is there", func() bool { return len(c.b.Origin.Requests()) > 0 })
	began := time.Now()
	kz.signal(syscall.SIGTERM)
	bed.Eventually(t, "it says that it is stopping", func() bool {
		res := kz.exec("/kz", "status", "--health", "9465")
		return res.Code == 1 && strings.Contains(res.Output(), "not ready: stopping")
	})
	if info, err := os.Stat(filepath.Join(c.client, "client.env")); err != nil {
		t.Errorf("what is in flight may need the files until it ends: %v %v", info, err)
	}
	kz.signal(syscall.SIGTERM)
	end := kz.wait()
	end.Exits(t, 0)
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("a second signal does not end it at once: %s", took)
	}
	if res := hanging.wait(); res.Code == 0 {
		t.Errorf("the client is content: %s", res.Output())
	}
	left, err := os.ReadDir(c.client)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %s, %v", left, err)
	}
	c.b.Clean(end)
}

func fileText(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text))
}
