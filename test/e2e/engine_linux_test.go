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

	"kz/test/bed"
)

// engine is a machine with Podman on it: namespaces of mounts, processes and networks in which all of it runs, and which take
// it with them when they end. Nothing of the machine's own engine is used or changed.
type engine struct {
	t *testing.T
	network
	dir string
	env []string
}

// inEngine makes the machine, with empty directories where Podman keeps what it knows, and a name server that is outside.
const inEngine = `set -e
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /dev/shm # Podman has its locks there
mkdir -p /var/lib/containers
mount -t tmpfs tmpfs /var/lib/containers # and here what it knows of layers
mount --bind "$1/resolv.conf" /etc/resolv.conf
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi # crun knows one or the other
ip link set lo up
echo ready
exec sleep 3600
`

func newEngine(t *testing.T, nameserver string) *engine {
	t.Helper()
	for _, name := range []string{"podman", "buildah", "crun", "iptables", "busybox"} {
		bed.Program(t, name)
	}
	if _, err := os.Stat("/usr/lib/podman/netavark"); err != nil {
		bed.Missing(t, "netavark")
	}
	dir := t.TempDir()
	e := &engine{t: t, dir: dir, env: []string{"PATH=" + bed.Path, "HOME=" + dir, "TMPDIR=" + dir, "LANG=C",
		"CONTAINERS_CONF=" + filepath.Join(dir, "containers.conf"), "CONTAINERS_STORAGE_CONF=" + filepath.Join(dir, "storage.conf"),
		"CONTAINERS_REGISTRIES_CONF=" + filepath.Join(dir, "registries.conf")}}
	for name, text := range map[string]string{
		"resolv.conf":     "nameserver " + nameserver + "\n",
		"registries.conf": "unqualified-search-registries = [\"docker.io\"]\n",
		"storage.conf":    fmt.Sprintf("[storage]\ndriver = \"overlay\"\ngraphroot = %q\nrunroot = \"/run/containers/storage\"\n", filepath.Join(dir, "store")),
		// Limits that a machine may not raise; and none of its control groups, in which something would be left behind.
		"containers.conf": fmt.Sprintf("[containers]\ndefault_ulimits = [\"nofile=1024:4096\", \"nproc=1024:4096\"]\ncgroups = \"disabled\"\n"+
			"[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\nruntime = \"crun\"\ntmp_dir = \"/run/libpod\"\n[network]\nnetwork_config_dir = %q\n", filepath.Join(dir, "networks")),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	holder := exec.Command("/bin/sh", "-c", inEngine, "sh", dir)
	holder.Env = e.env
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET}
	var said lockedBuffer
	holder.Stdout, holder.Stderr = &said, &said
	if err := holder.Start(); err != nil {
		bed.Missing(t, "namespaces for a container engine: "+err.Error())
	}
	t.Cleanup(func() { _ = holder.Process.Kill(); _ = holder.Wait() })
	e.network = network{t, holder.Process.Pid}
	bed.Eventually(t, "the machine is there: "+said.String(), func() bool { return strings.Contains(said.String(), "ready") })
	return e
}

// enter is how nsenter comes to the machine.
func (e *engine) enter() []string {
	return []string{"-t", strconv.Itoa(e.pid), "-m", "-n", "-p", "-r", "-w"}
}

// command runs a program of the machine.
func (e *engine) command(ctx context.Context, argv ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, bed.Program(e.t, "nsenter"), slices.Concat(e.enter(), []string{"--"}, argv)...)
	cmd.Env, cmd.WaitDelay = e.env, 10*time.Second
	return cmd
}

func (e *engine) try(argv ...string) bed.Result {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // the build has a program to link, on a busy machine
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := e.command(ctx, argv...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		e.t.Fatalf("%s: %v", argv, err)
	}
	return bed.Result{Stdout: stdout.Bytes(), Stderr: stderr.Bytes(), Code: cmd.ProcessState.ExitCode()}
}

// podman is what it prints, once it has succeeded.
func (e *engine) podman(args ...string) string {
	e.t.Helper()
	res := e.try(append([]string{bed.Program(e.t, "podman")}, args...)...)
	if res.Code != 0 {
		e.t.Fatalf("podman %s: %d %s", strings.Join(args, " "), res.Code, res.Output())
	}
	return strings.TrimSpace(string(res.Stdout))
}

// imported is an image with the files of a directory, under a name.
func (e *engine) imported(name, root string, changes ...string) {
	e.t.Helper()
	args := []string{"import", "--quiet"}
	for _, c := range changes {
		args = append(args, "--change", c)
	}
	archive := filepath.Join(e.t.TempDir(), "root.tar")
	if out, err := exec.Command(bed.Program(e.t, "tar"), "-C", root, "-cf", archive, ".").CombinedOutput(); err != nil {
		e.t.Fatalf("%v: %s", err, out)
	}
	e.podman(append(args, archive, name)...)
}

// build makes the image of the Dockerfile, as its first lines say. What the Dockerfile takes from elsewhere is this machine's: the
// image with Go is a shell and this Go, and modules and what is compiled already lie where Go looks for them.
func (e *engine) build() {
	e.t.Helper()
	root, goEnv := e.t.TempDir(), func(name string) string {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			e.t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	for _, dir := range []string{"bin", "tmp", "root", "etc/ssl/certs"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			e.t.Fatal(err)
		}
	}
	script := `cp -L "$0" "$1/bin/busybox"; for name in sh mkdir; do ln -s busybox "$1/bin/$name"; done; cp -L /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/"`
	if err := step("/", "/bin/sh", "-ec", script, bed.Program(e.t, "busybox"), root); err != nil {
		e.t.Fatal(err)
	}
	if err := step(bed.Root(), "go", "mod", "download"); err != nil { // those that only another system's kz has may not be here yet
		e.t.Fatal(err)
	}
	var from string
	for line := range strings.Lines(deployedText(e.t, "Dockerfile")) {
		if base, found := strings.CutPrefix(line, "FROM golang:"); found {
			from, _, _ = strings.Cut("golang:"+base, " ")
		}
	}
	e.imported("docker.io/library/"+from, root, "ENV PATH=/usr/local/go/bin:/bin", "ENV GOPATH=/go", "ENV HOME=/root", "ENV GOTOOLCHAIN=local", "ENV GOPROXY=off")
	e.podman("build", "--quiet", "--format=docker", "--layers=false", "--pull-never", "--network=none",
		"-v", goEnv("GOROOT")+":/usr/local/go:ro", "-v", goEnv("GOMODCACHE")+":/go/pkg/mod:O", "-v", goEnv("GOCACHE")+":/root/.cache/go-build:O",
		"-f", filepath.Join(bed.Root(), "cmd/kz/deploy/Dockerfile"), "-t", "kz", bed.Root())
}

// agentImage is one with the machine's programs, which a container mounts at /usr, and perhaps a program of its own.
func (e *engine) agentImage(name, program string, text []byte, changes ...string) (mounts []string) {
	e.t.Helper()
	root := e.t.TempDir()
	for _, dir := range []string{"usr", "kz", "tmp", "workspace", "etc"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			e.t.Fatal(err)
		}
	}
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+dir, filepath.Join(root, dir)); err != nil {
			e.t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(root, "tmp"), 0o1777); err != nil {
		e.t.Fatal(err)
	}
	if program != "" {
		if err := os.WriteFile(filepath.Join(root, "workspace", program), text, 0o755); err != nil {
			e.t.Fatal(err)
		}
	}
	e.imported(name, root, append([]string{"ENV PATH=" + bed.Path, "ENV HOME=/tmp"}, changes...)...)
	return []string{"-v", "/usr:/usr:ro"}
}
