package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kz/test/bed"
	"kz/test/canary"
)

// tryEnginePod makes the pod of kubernetes.yaml: a network that its containers share, and these one after the other, as a kubelet does.
func tryEnginePod(t *testing.T, e *engine, b *bed.Bed, world *outer) {
	config, value := containerConfig(t, b)
	p := thePod(t)
	wall, sidecar, agent := p.Spec.Init[0], p.Spec.Init[1], p.Spec.Containers[0]
	volumes := podVolumes(t, p, config)
	usr := e.agentImage("your-agent", "", nil)
	e.podman("network", "create", "--subnet=172.30.251.0/24", "cluster")
	e.podman("run", "-d", "--name=pause", "--network=cluster", usr[0], usr[1], "your-agent", "sleep", "infinity")
	run := func(c podContainer, flags []string, image string, argv ...string) []string {
		args := append([]string{"run", "--network=container:pause", "--user=" + strconv.Itoa(c.Security.User) + ":" + strconv.Itoa(c.Security.Group),
			"--group-add=" + strconv.Itoa(p.Spec.Security.FSGroup)}, flags...)
		for _, name := range c.Security.Capabilities.Drop {
			args = append(args, "--cap-drop="+name)
		}
		for _, name := range c.Security.Capabilities.Add {
			args = append(args, "--cap-add="+name)
		}
		if !*c.Security.AllowEscalation {
			args = append(args, "--security-opt=no-new-privileges")
		}
		if c.Security.ReadOnlyRoot {
			args = append(args, "--read-only", "--read-only-tmpfs=false")
		}
		for _, v := range c.Env {
			args = append(args, "-e", v.Name+"="+v.Value)
		}
		for _, m := range c.VolumeMounts {
			args = append(args, "-v", volumes[m.Name]+":"+m.Path+map[bool]string{true: ":ro"}[m.ReadOnly])
		}
		return slices.Concat(args, []string{image}, argv)
	}
	inAgent := func(script string) bed.Result {
		return e.try(slices.Concat([]string{"podman"}, run(agent, append(slices.Clone(usr), "--rm", "--entrypoint="), "your-agent", append(slices.Clone(agent.Command), "/bin/sh", "-c", script)...))...)
	}
	const curl = "curl -sS -m 20 "
	direct := "podman exec pause " + curl + "--connect-timeout 3 --noproxy '*' http://" + outerAddress + "/"
	if _, before := e.try("/bin/sh", "-c", direct), len(world.reachedBy()); before == 0 {
		t.Fatal("without the wall the pod does not reach the world: the test shows nothing")
	}
	e.podman(run(wall, append(slices.Clone(usr), "--rm", "--entrypoint="), "your-agent", wall.Command...)...)
	e.podman(run(sidecar, []string{"-d", "--name=kz"}, "kz", sidecar.Args...)...)
	bed.Eventually(t, "the startup probe succeeds", func() bool {
		return e.try(slices.Concat([]string{"podman", "exec", "kz"}, sidecar.StartupProbe.Exec.Command)...).Code == 0
	})

	before := len(world.reachedBy())
	res := inAgent(curl + `-f -H "Authorization: Bearer $API_KEY" https://api.test/echo
` + curl + "--connect-timeout 3 --noproxy '*' http://" + outerAddress + `/ && echo OUT
nft flush ruleset && echo NO WALL
for f in ca.pem bundle.pem client.env new; do echo x >/kz/$f && echo CHANGED; mv /kz/$f /kz/other && echo CHANGED; done; rm /kz/ca.pem && echo CHANGED; grep -aq 'PRIVATE KEY' /kz/* && echo READ
cat /state/session /run/secrets/kz/vault_token && echo READ; env`)
	got := received(t, b, "/echo")
	if len(got) != 1 || got[0].Header.Get("Authorization") != "Bearer "+value {
		t.Errorf("the origin did not get the value: %s", res.Output())
	}
	for _, bad := range []string{"OUT", "NO WALL", "CHANGED", "READ"} {
		if slices.ContainsFunc(strings.Split(string(res.Stdout), "\n"), func(l string) bool { return strings.HasPrefix(l, bad) }) {
			t.Errorf("the agent can: %s", res.Output())
		}
	}
	if res := e.try("/bin/sh", "-c", direct); res.Code == 0 || len(world.reachedBy()) != before {
		t.Errorf("another container of the pod gets out: %s", res.Output())
	}
	b.Clean(res, e.try("podman", "inspect", "kz", "pause"))

	e.podman("stop", "--time="+strconv.Itoa(p.Spec.Grace), "kz")
	if code := e.podman("inspect", "--format", "{{.State.ExitCode}}", "kz"); code != "0" { // 137 when its time is over
		t.Errorf("it ends with %s", code)
	}
	b.Clean(e.try("podman", "logs", "kz"))
	e.podman("rm", "kz") // before what it shares the network of
}

// dockerOfPodman is docker on a machine with Podman: it has what the topic says of that, an image for IMAGE, and its /usr.
const dockerOfPodman = `#!/bin/sh
set -e
podman() { nsenter %s -- podman "$@"; }
case "$1" in
network) shift 2; podman network create --disable-dns "$@"; podman run -d --network kz -v /usr:/usr:ro image sleep infinity ;;
run) shift; for word; do shift; [ "$word" != IMAGE ] || word=image; set -- "$@" "$word"; done; podman run -v /usr:/usr:ro "$@" ;;
*) exit 2 ;;
esac
`

// tryEngineTopic does what `kz help containers` prints for a Linux machine with Docker.
func tryEngineTopic(t *testing.T, e *engine, b *bed.Bed, world *outer) {
	m := &machine{t: t, b: b, value: canary.Value("k-"), outer: world, enter: []string{"--net=" + e.path()}, home: t.TempDir()}
	b.Watch("OPENAI_API_KEY", m.value)
	e.agentImage("image", "run-agent", theAgent, `CMD ["/workspace/run-agent"]`)
	m.write("bin/docker", fmt.Appendf(nil, dockerOfPodman, strings.Join(e.enter(), " ")), 0o755)
	if err := os.Symlink(bed.KZ(t), filepath.Join(m.home, "bin", "kz")); err != nil {
		t.Fatal(err)
	}
	m.env = append(slices.Clone(e.env), "PATH="+filepath.Join(m.home, "bin")+":"+bed.Path, "HOME="+m.home)
	m.followTopic(bed.KZ(t))
}
