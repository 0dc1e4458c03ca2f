package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kz/cmd/kz/config"
)

// voucherProgram is kz as far as vouching goes: it tells each client that sends a line whether it is one of this session's, and
// runs PROGRAM ARG… with its address in VOUCHER. KZ_TEST_UID makes it that user's.
func voucherProgram() {
	uid := 0
	if _, err := fmt.Sscan(os.Getenv("KZ_TEST_UID"), &uid); err == nil {
		if err := syscall.Setuid(uid); err != nil {
			panic(err)
		}
	}
	p, err := harden()
	if err == nil {
		err = p.markSession()
	}
	l, listenErr := net.Listen("tcp", "127.0.0.1:0")
	if err = errors.Join(err, listenErr); err != nil {
		panic(err)
	}
	vouched := newVouch()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = bufio.NewReader(c).ReadString('\n')
				fmt.Fprintln(c, vouched(c))
			}()
		}
	}()
	fmt.Println("at", l.Addr())
	_ = os.Setenv("VOUCHER", l.Addr().String())
	if os.Args[1] == "itself" {
		diallerProgram()
	}
	code, err := runChild(context.Background(), childSpec{Argv: os.Args[1:], Env: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Sealed: true})
	if err != nil {
		fmt.Println(err)
	}
	os.Exit(code)
}

// diallerProgram asks the voucher, as KZ_TEST_AS says, and prints its answer.
func diallerProgram() {
	address := os.Getenv("VOUCHER")
	var c net.Conn
	var err error
	switch os.Getenv("KZ_TEST_AS") {
	case "hidden":
		err = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	case "another user":
		err = syscall.Setuid(nobody)
	case "IPv6":
		c, err = dialMapped(address)
	}
	if err == nil && c == nil {
		c, err = net.Dial("tcp", address)
	}
	if err == nil {
		question := "?\n"
		if os.Getenv("KZ_TEST_AS") == "a client" {
			question = "CONNECT nowhere.test:443 HTTP/1.1\r\nHost: nowhere.test:443\r\n\r\n"
		}
		err = ask(c, question)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// ask prints the first line that comes back.
func ask(c net.Conn, question string) error {
	fmt.Fprint(c, question)
	answer, err := bufio.NewReader(c).ReadString('\n')
	fmt.Print(answer)
	return err
}

// nobody is a user that is not root.
const nobody = 65534

// dialMapped has a socket of IPv6 hold a connection of IPv4, as a JVM does.
func dialMapped(address string) (net.Conn, error) {
	to := netip.MustParseAddrPort(address)
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet6{Addr: to.Addr().As16(), Port: int(to.Port())}); err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	return net.FileConn(f)
}

// TestWhoIsOfThisSession has real processes ask a real session.
func TestWhoIsOfThisSession(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		argv []string
		env  []string
		want string
		root bool // it takes root to be another user
	}{
		{"its child is", []string{"kz-dialler"}, nil, "true", false},
		{"and by a socket of IPv6", []string{"kz-dialler"}, []string{"KZ_TEST_AS=IPv6"}, "true", false},
		{"so is a child of its child", []string{"sh", "-c", "kz-dialler; true"}, nil, "true", false},
		{"and one that has left its session and lost its parents", []string{"sh", "-c", orphaned}, []string{"PROGRAM=kz-dialler"}, "true", false},
		{"it is not of its own session itself", []string{"itself"}, nil, "false", false},
		{"a child that is another user is not", []string{"kz-dialler"}, []string{"KZ_TEST_AS=another user"}, "false", true},
		{"the child of a user that is not root is", []string{"/proc/self/exe"}, []string{"KZ_TEST_UID=65534"}, "true", true},
		{"one that hides its descriptors from that user is not", []string{"/proc/self/exe"}, []string{"KZ_TEST_UID=65534", "KZ_TEST_AS=hidden"}, "false", true},
	} {
		if tt.root && os.Geteuid() != 0 {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command("kz-voucher", tt.argv...)
			cmd.Env = append(os.Environ(), append(tt.env, "OUT="+filepath.Join(t.TempDir(), "out"))...)
			out, err := cmd.CombinedOutput()
			if _, answer, _ := strings.Cut(string(out), "\n"); err != nil || answer != tt.want+"\n" {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	t.Run("another process of the same user is not", func(t *testing.T) {
		t.Parallel()
		cmd := exec.Command("kz-voucher", "sleep", "60")
		address := strings.TrimSpace(strings.TrimPrefix(startAndWait(t, cmd, "at "), "at "))
		for range 3 {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(c, "?")
			if answer, err := bufio.NewReader(c).ReadString('\n'); answer != "false\n" {
				t.Errorf("%q, %v", answer, err)
			}
			_ = c.Close()
		}
	})
}

// pair is a connection, by its two ends.
func pair(t *testing.T) (client, server *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.Close(), s.Close() })
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

// from is a connection with another peer's address.
type from struct {
	*net.TCPConn
	remote net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.remote }

func TestWhatAVoucherAsks(t *testing.T) {
	t.Parallel()
	mine := socketInfo{uid: 7, inode: 4711, cookie: 1}
	for _, tt := range []struct {
		name   string
		change func(v *voucher, client *net.TCPConn)
		remote net.Addr
		want   bool
		asked  int32 // how often who holds it
	}{
		{"the user's own socket, held below, is vouched for", nil, nil, true, 1},
		{"another user's is not, and nobody looks who holds it", func(v *voucher, _ *net.TCPConn) { v.uid = 8 }, nil, false, 0},
		{"one that nobody below holds is not", func(v *voucher, _ *net.TCPConn) { v.held.scan = func(map[uint32]bool) map[uint32]bool { return nil } }, nil, false, 0},
		{"one without an inode is not, and nobody looks", func(v *voucher, _ *net.TCPConn) {
			v.look = func(_, _ netip.AddrPort) (socketInfo, error) { return socketInfo{uid: 7}, nil }
		}, nil, false, 0},
		{"one that is not found is not", func(v *voucher, _ *net.TCPConn) {
			v.look = func(_, _ netip.AddrPort) (socketInfo, error) { return mine, errNoSocket }
		}, nil, false, 0},
		{"one that is another afterwards is not", func(v *voucher, _ *net.TCPConn) {
			n := uint64(0)
			v.look = func(_, _ netip.AddrPort) (socketInfo, error) { n++; return socketInfo{7, 4711, n}, nil }
		}, nil, false, 1},
		{"one whose connection was reset is not, whoever has its addresses now", func(_ *voucher, client *net.TCPConn) {
			_ = client.SetLinger(0)
			_ = client.Close()
		}, nil, false, 1},
		{"one that has said all it will is not", func(_ *voucher, client *net.TCPConn) { _ = client.CloseWrite() }, nil, false, 1},
		{"one off loopback is not, and nobody looks", nil, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 1}, false, 0},
		{"one without an address is not", nil, &net.UnixAddr{}, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, server := pair(t)
			var asked atomic.Int32
			v := &voucher{uid: 7, look: func(c, s netip.AddrPort) (socketInfo, error) {
				if c.String() != client.LocalAddr().String() || s.String() != client.RemoteAddr().String() {
					t.Errorf("asked for %s to %s", c, s)
				}
				return mine, nil
			}}
			v.held = &holders{scan: func(wanted map[uint32]bool) map[uint32]bool {
				asked.Add(1)
				return map[uint32]bool{4711: wanted[4711]}
			}}
			if tt.change != nil {
				tt.change(v, client)
			}
			conn := net.Conn(server)
			if tt.remote != nil {
				conn = from{server, tt.remote}
			} else if !tt.want {
				settled(t, server, client)
			}
			if got := v.vouch(conn); got != tt.want || asked.Load() != tt.asked {
				t.Errorf("vouched for: %v; looked %d times", got, asked.Load())
			}
		})
	}
}

// settled waits until what a client did to its end is known at the other.
func settled(t *testing.T, server, client *net.TCPConn) {
	t.Helper()
	if _, err := client.Write(nil); err == nil {
		return // it is open
	}
	_, _ = server.Read(make([]byte, 1))
}

// TestProxyVouchesForNobody: its clients are told apart by the credential alone, and whoever starts it has other children.
func TestProxyVouchesForNobody(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		with func(net.Conn) bool
		want string
	}{
		{"without being told to, a session lets no process in for what it is", nil, "407 Proxy Authentication Required"},
		{"told to, it does", newVouch(), "403 Forbidden"}, // the host is not allowed
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, _, _ := testApp("HOME=" + t.TempDir())
			s, err := a.newBlind(&config.Config{}, nil, blindOptions{Strict: true, Audit: filepath.Join(t.TempDir(), "audit.jsonl"), Vouched: tt.with})
			if err != nil {
				t.Fatal(err)
			}
			defer s.close()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go func() { _ = s.proxy.Serve(l) }()
			cmd := exec.Command("kz-dialler")
			cmd.Env = append(os.Environ(), "KZ_TEST_AS=a client", "VOUCHER="+l.Addr().String(), sessionVariable+"=1") // other tests have children
			if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "HTTP/1.1 "+tt.want {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
