package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kz/test/bed"
)

// Containers, as far as a kernel without an engine goes: each is a root directory of its own, a namespace of mounts and of
// processes, in which it is the first one, a user, and a network that another may share.

// asRoot is for what only root may set up.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		bed.Missing(t, "root, for namespaces that stand in for containers")
	}
}

// network is a namespace of networks, held by a process that does nothing.
type network struct {
	t   *testing.T
	pid int
}

func newNetwork(t *testing.T) network {
	t.Helper()
	holder := exec.Command(bed.Program(t, "sleep"), "3600") // far longer than the tests, should they be killed
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := holder.Start(); err != nil {
		bed.Missing(t, "a namespace of networks: "+err.Error())
	}
	t.Cleanup(func() { _ = holder.Process.Kill(); _ = holder.Wait() })
	n := network{t, holder.Process.Pid}
	n.ip("link", "set", "lo", "up")
	n.run("/bin/sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward")
	return n
}

// run runs a program of the machine there, as root.
func (n network) run(argv ...string) {
	n.t.Helper()
	argv = append([]string{"--net=" + n.path(), "--"}, argv...)
	if out, err := exec.CommandContext(n.t.Context(), bed.Program(n.t, "nsenter"), argv...).CombinedOutput(); err != nil {
		n.t.Fatalf("%s: %v: %s", argv, err, out)
	}
}

func (n network) path() string { return fmt.Sprintf("/proc/%d/ns/net", n.pid) }

func (n network) ip(args ...string) {
	n.t.Helper()
	n.run(append([]string{bed.Program(n.t, "ip")}, args...)...)
}

// join connects two networks by a wire, each with an address and its prefix length.
func join(name string, a network, addressA string, b network, addressB string) {
	a.t.Helper()
	a.ip("link", "add", name, "type", "veth", "peer", "name", name, "netns", strconv.Itoa(b.pid))
	for n, address := range map[network]string{a: addressA, b: addressB} {
		n.ip("address", "add", address, "dev", name)
		n.ip("link", "set", name, "up")
	}
}

// in makes something in the network, a socket say, which stays there.
func (n network) in(do func() error) {
	n.t.Helper()
	err := func() error {
		runtime.LockOSThread()
		here, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
		if err != nil {
			return err
		}
		defer here.Close()
		there, err := os.Open(n.path())
		if err != nil {
			return err
		}
		defer there.Close()
		if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
			return err
		}
		err = do()
		if back := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); back != nil {
			return errors.Join(err, back) // the thread stays locked, and ends with this goroutine
		}
		runtime.UnlockOSThread()
		return err
	}()
	if err != nil {
		n.t.Fatal(err)
	}
}

// outer is the rest of the world: the Bed's origin, at an address of a network of its own, and whoever tries to reach it
// otherwise.
type outer struct {
	network
	mu      sync.Mutex
	reached []string // what came in clear text, or by UDP
}

const outerAddress = "192.0.2.1"

func newOuter(t *testing.T, b *bed.Bed) *outer {
	t.Helper()
	o := &outer{network: newNetwork(t)}
	var tls, plain net.Listener
	var dns net.PacketConn
	o.ip("address", "add", outerAddress+"/32", "dev", "lo")
	o.in(func() (err error) {
		if tls, err = net.Listen("tcp", outerAddress+":443"); err != nil {
			return err
		}
		if plain, err = net.Listen("tcp", outerAddress+":80"); err != nil {
			return err
		}
		dns, err = net.ListenPacket("udp", outerAddress+":53")
		return err
	})
	t.Cleanup(func() { _ = tls.Close(); _ = plain.Close(); _ = dns.Close() })
	go o.accept(tls, func(c net.Conn) { relay(c, b.Origin.Addr("tls")) })
	go o.accept(plain, func(c net.Conn) { o.reach("TCP"); _ = c.Close() })
	go func() {
		for buf := make([]byte, 1500); ; {
			if _, _, err := dns.ReadFrom(buf); err != nil {
				return
			}
			o.reach("UDP")
		}
	}()
	return o
}

func (o *outer) accept(l net.Listener, serve func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go serve(c)
	}
}

func (o *outer) reach(how string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reached = append(o.reached, how)
}

func (o *outer) reachedBy() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.reached)
}

func (o *outer) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reached = nil
}

func relay(c net.Conn, to string) {
	defer c.Close()
	up, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer up.Close()
	go func() { _, _ = io.Copy(up, c); _ = up.(*net.TCPConn).CloseWrite() }()
	_, _ = io.Copy(c, up)
}

// mount is a directory or file of the machine at a path of the container.
type mount struct {
	from, to string
	readOnly bool
}

// container is what an engine would be asked for.
type container struct {
	root     string // the directory that is its /
	readOnly bool
	dir      string // where it begins; "": /
	network  network
	user     int
	groups   []int // beside the user's own
	env      []string
	mounts   []mount
	argv     []string
}

// running is a container that was started.
type running struct {
	t              *testing.T
	cmd            *exec.Cmd
	c              container
	stdin          io.WriteCloser
	stdout, stderr lockedBuffer
	once           sync.Once
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// command is what starts it: what is executed last is its first process. self is this test's program.
func (c container) command(ctx context.Context, self string) *exec.Cmd {
	script := "set -e\nmount=/bin/mount\n$mount --make-rprivate /\n$mount --bind " + c.root + " " + c.root + "\n" +
		"$mount -t proc proc " + c.root + "/proc\n$mount --rbind /dev " + c.root + "/dev\n"
	for _, m := range c.mounts {
		at := filepath.Join(c.root, m.to)
		if info, err := os.Stat(m.from); err == nil && info.IsDir() { // an engine makes the place
			_ = os.MkdirAll(at, 0o755)
		}
		script += "$mount --bind " + m.from + " " + at + "\n"
		if m.readOnly {
			script += "$mount -o remount,bind,ro " + at + "\n"
		}
	}
	if c.readOnly {
		script += "$mount -o remount,bind,ro " + c.root + "\n"
	}
	as := "--clear-groups"
	if len(c.groups) > 0 {
		as = "--groups " + strings.Trim(strings.ReplaceAll(fmt.Sprint(c.groups), " ", ","), "[]")
	}
	// Once the root is another one, only what lies in it can be executed: the test's own program does the rest.
	script += fmt.Sprintf("exec /usr/bin/setpriv --no-new-privs %s %s @enter %s %s %d \"$@\"\n", as, self, c.root, "/"+strings.TrimPrefix(c.dir, "/"), c.user)
	cmd := exec.CommandContext(ctx, "/usr/bin/nsenter", append([]string{"--net=" + c.network.path(), "--", "/bin/sh", "-c", script, "sh"}, c.argv...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	cmd.Dir, cmd.Env = "/", append([]string{}, c.env...)
	return cmd
}

func (c container) start(t *testing.T) *running {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), bed.Timeout)
	r := &running{t: t, c: c, cmd: c.command(ctx, bed.Self(t))}
	r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
	var err error
	if r.stdin, err = r.cmd.StdinPipe(); err == nil {
		err = r.cmd.Start()
	}
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.cmd.Process.Kill(); r.wait(); cancel() })
	return r
}

// run starts it and waits for its end.
func (c container) run(t *testing.T) bed.Result {
	t.Helper()
	return c.start(t).wait()
}

func (r *running) wait() bed.Result {
	r.once.Do(func() { _ = r.stdin.Close(); _ = r.cmd.Wait() })
	return bed.Result{Stdout: []byte(r.stdout.String()), Stderr: []byte(r.stderr.String()), Code: r.cmd.ProcessState.ExitCode()}
}

func (r *running) signal(s os.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

// exec runs a program beside the first process, as `docker exec` does.
func (r *running) exec(argv ...string) bed.Result {
	r.t.Helper()
	pid := strconv.Itoa(r.cmd.Process.Pid)
	user := strconv.Itoa(r.c.user)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bed.Program(r.t, "nsenter"), append([]string{"-t", pid, "-m", "-n", "-p", "-r", "-w", "-S", user, "-G", user, "--"}, argv...)...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = append([]string{}, r.c.env...), &stdout, &stderr
	_ = cmd.Run()
	code := -1
	if cmd.ProcessState != nil {
		code = cmd.ProcessState.ExitCode()
	}
	return bed.Result{Stdout: stdout.Bytes(), Stderr: stderr.Bytes(), Code: code}
}

// enterProgram is `@enter ROOT DIR USER PROGRAM …`: what an engine does last.
func enterProgram(args []string) int {
	root, dir, program := args[0], args[1], args[3:]
	user, err := strconv.Atoi(args[2])
	for _, step := range []func() error{
		func() error { return err },
		func() error { return unix.Chroot(root) },
		func() error { return unix.Chdir(dir) },
		func() error { return unix.Setresgid(user, user, user) },
		func() error { return unix.Setresuid(user, user, user) },
		func() error { return unix.Exec(program[0], program, os.Environ()) },
	} {
		if err := step(); err != nil {
			fmt.Fprintln(os.Stderr, "entering the container:", err)
			return 1
		}
	}
	return 0
}

// agentRoot is the root of a container with the machine's own programs.
func agentRoot(t *testing.T) (root string, mounts []mount) {
	t.Helper()
	root = t.TempDir()
	for _, dir := range []string{"proc", "dev", "kz", "tmp", "work"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(root, "tmp"), 0o1777); err != nil {
		t.Fatal(err)
	}
	for _, dir := range systemDirs {
		if target, err := os.Readlink(dir); err == nil { // merged into /usr
			if err := os.Symlink(target, filepath.Join(root, dir)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root, systemMounts()
}

var systemDirs = []string{"/usr", "/etc", "/bin", "/sbin", "/lib", "/lib64"}

func systemMounts() (mounts []mount) {
	for _, dir := range systemDirs {
		if info, err := os.Lstat(dir); err == nil && info.IsDir() {
			mounts = append(mounts, mount{dir, dir, true})
		}
	}
	return mounts
}
