package e2e_test

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/goccy/go-yaml"

	"kz/test/bed"
)

// podContainer is a container of kubernetes.yaml, in the fields that it uses.
type podContainer struct {
	Name, Image   string
	RestartPolicy string `yaml:"restartPolicy"`
	Command, Args []string
	Env           []struct{ Name, Value string }
	StartupProbe  probeSpec `yaml:"startupProbe"`
	Readiness     probeSpec `yaml:"readinessProbe"`
	Resources     struct{ Requests, Limits map[string]string }
	Security      struct {
		RunAsNonRoot    bool                         `yaml:"runAsNonRoot"`
		User            int                          `yaml:"runAsUser"`
		Group           int                          `yaml:"runAsGroup"`
		ReadOnlyRoot    bool                         `yaml:"readOnlyRootFilesystem"`
		AllowEscalation *bool                        `yaml:"allowPrivilegeEscalation"`
		Capabilities    struct{ Drop, Add []string } `yaml:"capabilities"`
	} `yaml:"securityContext"`
	VolumeMounts []struct {
		Name     string
		Path     string `yaml:"mountPath"`
		ReadOnly bool   `yaml:"readOnly"`
	} `yaml:"volumeMounts"`
}

type probeSpec struct {
	Exec             struct{ Command []string }
	PeriodSeconds    int `yaml:"periodSeconds"`
	TimeoutSeconds   int `yaml:"timeoutSeconds"`
	FailureThreshold int `yaml:"failureThreshold"`
}

type podSpec struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct {
		Name   string
		Labels map[string]string
	}
	Spec struct {
		Token    bool `yaml:"automountServiceAccountToken"`
		Share    bool `yaml:"shareProcessNamespace"`
		Grace    int  `yaml:"terminationGracePeriodSeconds"`
		Security struct {
			FSGroup int               `yaml:"fsGroup"`
			Seccomp map[string]string `yaml:"seccompProfile"`
		} `yaml:"securityContext"`
		Init       []podContainer `yaml:"initContainers"`
		Containers []podContainer
		Volumes    []struct {
			Name      string
			ConfigMap map[string]string `yaml:"configMap"`
			EmptyDir  map[string]string `yaml:"emptyDir"`
			Secret    struct {
				Name string `yaml:"secretName"`
				Mode int    `yaml:"defaultMode"`
			}
		}
	}
}

func thePod(t *testing.T) podSpec {
	t.Helper()
	var p podSpec
	d := yaml.NewDecoder(strings.NewReader(deployedText(t, "kubernetes.yaml")), yaml.Strict())
	if err := d.Decode(&p); err != nil {
		t.Fatal(err)
	}
	if err := d.Decode(&podSpec{}); err != io.EOF {
		t.Errorf("there is more than a pod: %v", err)
	}
	return p
}

// podVolumes are the volumes as a kubelet makes them.
func podVolumes(t *testing.T, p podSpec, config string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, v := range p.Spec.Volumes {
		switch {
		case v.ConfigMap != nil:
			all[v.Name] = config
		case v.EmptyDir != nil: // with fsGroup
			all[v.Name] = ownedDir(t, 0, p.Spec.Security.FSGroup, os.ModeSetgid|0o777)
		case v.Secret.Name != "": // a link to a link, by which the whole is changed at once
			dir := ownedDir(t, 0, p.Spec.Security.FSGroup, 0o755)
			token, err := os.ReadFile(filepath.Join(config, "token"))
			data, file := filepath.Join(dir, "..2026"), filepath.Join(dir, "..2026", "vault_token")
			for _, e := range []error{err, os.Mkdir(data, 0o755), os.WriteFile(file, token, 0o600), os.Chown(file, 0, p.Spec.Security.FSGroup),
				os.Chmod(file, os.FileMode(v.Secret.Mode)), os.Symlink("..2026", filepath.Join(dir, "..data")),
				os.Symlink("..data/vault_token", filepath.Join(dir, "vault_token"))} {
				if e != nil {
					t.Fatal(e)
				}
			}
			all[v.Name] = dir
		default:
			t.Errorf("what is the volume %s?", v.Name)
		}
	}
	return all
}

// inPod is a container of the pod at a root, in the pod's network.
func (p podSpec) inPod(c podContainer, n network, volumes map[string]string) container {
	out := container{network: n, user: c.Security.User, groups: []int{p.Spec.Security.FSGroup}, readOnly: c.Security.ReadOnlyRoot}
	for _, e := range c.Env {
		out.env = append(out.env, e.Name+"="+e.Value)
	}
	for _, m := range c.VolumeMounts {
		out.mounts = append(out.mounts, mount{volumes[m.Name], m.Path, m.ReadOnly})
	}
	return out
}

func tryPod(t *testing.T, im image) {
	b := bed.New(t)
	config, value := containerConfig(t, b)
	p := thePod(t)
	if len(p.Spec.Init) != 2 || len(p.Spec.Containers) != 1 || p.Spec.Init[1].RestartPolicy != "Always" {
		t.Fatalf("the containers are not a wall, kz and an agent: %+v", p.Spec)
	}
	wall, sidecar, agent := p.Spec.Init[0], p.Spec.Init[1], p.Spec.Containers[0]
	for _, c := range []podContainer{wall, sidecar, agent} {
		if c.Security.AllowEscalation == nil || *c.Security.AllowEscalation || !slices.Equal(c.Security.Capabilities.Drop, []string{"ALL"}) {
			t.Errorf("%s: %+v", c.Name, c.Security)
		}
	}
	world := newOuter(t, b)
	pod := newNetwork(t)
	join("eth0", pod, "198.51.100.2/24", world.network, "198.51.100.1/24")
	pod.ip("route", "add", "default", "via", "198.51.100.1")
	volumes := podVolumes(t, p, config)
	root, system := agentRoot(t)
	curl := bed.Program(t, "curl") + " -sS -m 20 "
	direct := curl + "--connect-timeout 3 --noproxy '*' http://" + outerAddress + "/"
	run := func(c podContainer, script string) bed.Result {
		one := p.inPod(c, pod, volumes)
		one.root, one.env = root, []string{"PATH=" + bed.Path, "HOME=/tmp"}
		one.mounts = append(slices.Clone(system), one.mounts...)
		for _, word := range c.Command {
			one.argv = append(one.argv, strings.ReplaceAll(word, "$$", "$"))
		}
		one.argv = append(one.argv, "/bin/sh", "-c", script)
		return one.run(t)
	}
	direct0 := agent
	direct0.Command = nil
	if res := run(direct0, direct); len(world.reachedBy()) == 0 {
		t.Fatalf("without the wall the agent reaches the world, or the test shows nothing: %s", res.Output())
	}

	bed.Program(t, "nft")
	pod.run(append([]string{bed.Program(t, "setpriv"), "--bounding-set=-all,+net_admin", "--inh-caps=-all"}, wall.Command...)...)

	c := p.inPod(sidecar, pod, volumes)
	c.root, c.dir, c.argv, c.env = im.root, im.dir, slices.Concat(im.entrypoint, sidecar.Args), slices.Concat(im.env, c.env)
	kz := c.start(t)
	healthy(t, kz, sidecar.StartupProbe.Exec.Command)

	before := len(world.reachedBy())
	res := run(agent, curl+`-f -H "Authorization: Bearer $API_KEY" https://api.test/echo; `+direct+`; `+
		bed.Python(t)+` -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("`+outerAddress+`", 53))'; exit 0`)
	if got := received(t, b, "/echo"); len(got) != 1 || got[0].Header.Get("Authorization") != "Bearer "+value {
		t.Errorf("the origin did not get the value: %s", res.Output())
	}
	stranger := run(direct0, curl+`-o /dev/null -w '%{http_connect}' -x http://127.0.0.1:8080 https://api.test/echo; cat /kz/client.env /state/session`)
	if out := string(stranger.Stdout); !strings.HasPrefix(out, "407") || strings.Contains(out, "mask_key") {
		t.Errorf("without the credential it gets %s", stranger.Output())
	}
	asRootInside := direct0
	asRootInside.Security.User = 0
	for _, who := range []podContainer{direct0, asRootInside} {
		if res := run(who, direct); res.Code == 0 {
			t.Errorf("user %d gets out: %s", who.Security.User, res.Output())
		}
	}
	if after := len(world.reachedBy()); after != before {
		t.Errorf("the world was reached %d times in another way: %s", after-before, res.Output())
	}
	b.Clean(res)

	kz.signal(syscall.SIGTERM)
	end := kz.wait()
	end.Exits(t, 0)
	b.Clean(end)
}
