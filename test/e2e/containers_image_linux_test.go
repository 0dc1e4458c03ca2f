package e2e_test

import (
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kz/test/bed"
)

// deployed is the path of a file that is made to be copied.
func deployed(name string) string { return filepath.Join("..", "..", "cmd", "kz", "deploy", name) }

func deployedText(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(deployed(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// image is what the Dockerfile describes.
type image struct {
	root              string
	env               []string
	dir               string
	user              int
	entrypoint, cmd   []string
	healthcheck       []string
	healthFlags, from string
}

// theImage is the image of the Dockerfile, each step of which is done here without an engine: what it copies of the sources
// is copied, what it runs is run, in directories that stand for its own.
func theImage(t *testing.T) image {
	t.Helper()
	im, err := followDockerfile(deployedText(t, "Dockerfile"), t.TempDir())
	if err != nil {
		t.Fatalf("building the image: %v", err)
	}
	return im
}

// followDockerfile knows what the Dockerfile uses, and nothing else.
func followDockerfile(text, dir string) (im image, err error) {
	top, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return im, err
	}
	build := filepath.Join(dir, "build")
	im.root = filepath.Join(dir, "root")
	stage, src := "", ""
	for _, line := range strings.Split(strings.ReplaceAll(text, "\\\n", " "), "\n") {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		args := strings.Fields(rest)
		final := stage == "scratch"
		switch {
		case word == "" || word[0] == '#' || word == "LABEL":
		case word == "FROM":
			if stage = args[0]; stage != "scratch" {
				im.from = stage
			}
			err = os.MkdirAll(map[bool]string{true: im.root, false: build}[stage == "scratch"], 0o755)
		case word == "WORKDIR" && final:
			im.dir = args[0]
			err = os.MkdirAll(filepath.Join(im.root, args[0]), 0o755)
		case word == "WORKDIR":
			src = filepath.Join(build, args[0])
			err = os.MkdirAll(src, 0o755)
		case word == "COPY" && !final:
			for _, name := range args[:len(args)-1] {
				err = errors.Join(err, step(top, "cp", "-r", name, filepath.Join(src, args[len(args)-1])))
			}
		case word == "RUN" && rest == "go mod download": // they are here
		case word == "RUN":
			err = step(src, "/bin/sh", "-c", strings.ReplaceAll(rest, "/out", filepath.Join(build, "out")))
		case word == "COPY":
			err = copyToImage(build, im.root, args)
		case word == "ENV":
			im.env = append(im.env, args...)
		case word == "USER":
			im.user, err = strconv.Atoi(strings.Split(args[0], ":")[0])
		case word == "ENTRYPOINT":
			err = json.Unmarshal([]byte(rest), &im.entrypoint)
		case word == "CMD":
			err = json.Unmarshal([]byte(rest), &im.cmd)
		case word == "HEALTHCHECK":
			flags, test, _ := strings.Cut(rest, " CMD ")
			im.healthFlags = flags
			err = json.Unmarshal([]byte(test), &im.healthcheck)
		default:
			err = errors.New("not known here")
		}
		if err != nil {
			return im, fmt.Errorf("%s: %w", line, err)
		}
	}
	for _, name := range []string{"proc", "dev"} { // an engine makes them
		err = errors.Join(err, os.MkdirAll(filepath.Join(im.root, name), 0o755))
	}
	return im, err
}

func copyToImage(build, root string, args []string) error {
	owner := "0:0"
	var names []string
	for _, a := range args {
		switch flag, value, _ := strings.Cut(a, "="); {
		case flag == "--from" && value == "build":
		case flag == "--chown":
			owner = value
		case strings.HasPrefix(flag, "--"):
			return fmt.Errorf("%s is not known here", flag)
		default:
			names = append(names, a)
		}
	}
	from, to := names[0], filepath.Join(root, names[1])
	if !strings.HasPrefix(from, "/etc/") { // of the build's own image; the machine's stands for it
		from = filepath.Join(build, from)
	}
	if names[1] != "/" {
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return errors.Join(step("/", "cp", "-L", from, to), step("/", "chown", owner, to))
	}
	entries, err := os.ReadDir(from)
	for _, e := range entries {
		err = errors.Join(err, step("/", "cp", "-rp", filepath.Join(from, e.Name()), to), step("/", "chown", "-R", owner, filepath.Join(to, e.Name())))
	}
	return err
}

func step(dir string, argv ...string) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "GOFLAGS=") })
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", argv, err, out)
	}
	return nil
}

// TestContainers runs what lies in cmd/kz/deploy, as far as that goes without an engine.
func TestContainers(t *testing.T) {
	t.Parallel()
	asRoot(t)
	im := theImage(t)
	t.Run("the image", func(t *testing.T) { t.Parallel(); tryImage(t, im) })
	t.Run("compose", func(t *testing.T) { t.Parallel(); tryCompose(t, im) })
	t.Run("the first process", func(t *testing.T) { t.Parallel(); tryFirstProcess(t, im) })
	t.Run("kubernetes", func(t *testing.T) { t.Parallel(); tryPod(t, im) })
	t.Run("a job of CI", func(t *testing.T) { t.Parallel(); tryCI(t, im) })
	t.Run("a machine with Docker", func(t *testing.T) { t.Parallel(); tryTopic(t, im) })
	t.Run("an engine", func(t *testing.T) { t.Parallel(); tryEngine(t) })
}

// TestWhatClientsMount holds that no container but kz's may write where clients find the CA and what Node loads: the directory
// may be open to all who mount it.
func TestWhatClientsMount(t *testing.T) {
	t.Parallel()
	found := 0
	for name, s := range theComposition(t).Services {
		for _, v := range s.Volumes {
			if part := strings.Split(v, ":"); part[0] == "client" && name != "kz" {
				if found++; len(part) != 3 || part[2] != "ro" {
					t.Errorf("compose.yaml: %s may write to %s", name, v)
				}
			}
		}
	}
	p := thePod(t)
	for _, c := range slices.Concat(p.Spec.Init, p.Spec.Containers) {
		for _, m := range c.VolumeMounts {
			if m.Name == "client" && c.Name != "kz" {
				if found++; !m.ReadOnly {
					t.Errorf("kubernetes.yaml: %s may write to %s", c.Name, m.Path)
				}
			}
		}
	}
	for name, mount := range map[string]string{
		"ci.yaml":                        `-v "$RUNNER_TEMP/ca:/kz:ro"`,
		"devcontainer/devcontainer.json": `/.kz-agent/ca,target=/kz,type=bind,readonly"`,
	} {
		if found++; strings.Count(deployedText(t, name), mount) != 1 {
			t.Errorf("%s has not %s", name, mount)
		}
	}
	if found != 4 {
		t.Errorf("%d mounts were looked at", found)
	}
}

// tryImage looks at what the Dockerfile makes.
func tryImage(t *testing.T, im image) {
	kz := filepath.Join(im.root, "kz")
	t.Run("it holds kz, certificates, places to write to, and nothing else", func(t *testing.T) {
		var files []string
		err := filepath.WalkDir(im.root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				files = append(files, strings.TrimPrefix(path, im.root))
			}
			return err
		})
		if err != nil || !slices.Equal(files, []string{"/etc/ssl/certs/ca-certificates.crt", "/kz"}) {
			t.Errorf("%s, %v", files, err)
		}
		for name, want := range map[string]string{"state": "65532:65532 700", "client": "65532:65532 750"} {
			out, err := exec.Command(bed.Program(t, "stat"), "-c", "%u:%g %a", filepath.Join(im.root, name)).Output()
			if got := strings.TrimSpace(string(out)); err != nil || got != want {
				t.Errorf("%s: %s, want %s, %v", name, got, want, err)
			}
		}
	})
	t.Run("kz needs no library and no loader", func(t *testing.T) {
		file, err := elf.Open(kz)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		for _, p := range file.Progs {
			if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
				t.Errorf("it has a segment %s", p.Type)
			}
		}
	})
	t.Run("its user is a number that is not root's", func(t *testing.T) {
		if im.user != 65532 || !slices.Equal(im.entrypoint, []string{"/kz"}) {
			t.Errorf("user %d, entry point %s", im.user, im.entrypoint)
		}
	})
	t.Run("its health check is that of compose.yaml", func(t *testing.T) {
		h := theComposition(t).Services["kz"].Healthcheck
		flags := fmt.Sprintf("--interval=%s --timeout=%s --start-period=%s", h.Interval, h.Timeout, h.StartPeriod) // engines older than the interval at the start refuse it in a Dockerfile
		if im.healthFlags != flags || !slices.Equal(h.Test, append([]string{"CMD"}, im.healthcheck...)) {
			t.Errorf("%s %s; compose has %s %s", im.healthFlags, im.healthcheck, flags, h.Test)
		}
	})
	t.Run("it is built with the Go that the sources ask for", func(t *testing.T) {
		mod, err := os.ReadFile(filepath.Join("..", "..", "go.mod"))
		if version := strings.TrimPrefix(im.from, "golang:"); err != nil || !strings.Contains(string(mod), "\ngo "+version+".") {
			t.Errorf("it is built from %s, %v", im.from, err)
		}
	})
	t.Run("it runs with nothing else, as that user, on a root that is read-only", func(t *testing.T) {
		c := container{root: im.root, readOnly: true, dir: im.dir, network: newNetwork(t), user: im.user, env: im.env}
		c.argv = slices.Concat(im.entrypoint, im.cmd)
		res := c.run(t)
		res.Succeeds(t)
		if !strings.Contains(string(res.Stdout), "compose.yaml") {
			t.Errorf("it says %s", res.Output())
		}
		c.argv = im.healthcheck
		if res := c.run(t); res.Code != 1 || !strings.Contains(res.Output(), "kz: error: nothing answers on 127.0.0.1:9465") {
			t.Errorf("without a proxy its health check is %d: %s", res.Code, res.Output())
		}
	})
}
