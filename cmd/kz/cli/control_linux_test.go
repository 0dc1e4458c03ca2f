package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// control is a control socket whose peers are as given. reloads counts what it was asked for.
func control(t *testing.T, who func(*net.UnixConn) (peer, error), inside func(peer) bool, environ ...string) (a *app, c *controlServer, reloads *atomic.Int32) {
	t.Helper()
	home := t.TempDir()
	a, _, _ = testApp(append([]string{"HOME=" + home}, environ...)...)
	a.now = time.Now
	reloads = new(atomic.Int32)
	c, err := a.newControl("5e5510", "kz proxy", func(context.Context) controlReply {
		reloads.Add(1)
		return controlReply{Changed: []string{"KEY"}}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	c.peer, c.inside = who, inside
	go c.serve()
	return a, c, reloads
}

func user(uid int) func(*net.UnixConn) (peer, error) {
	return func(*net.UnixConn) (peer, error) { return peer{uid: uid, pid: os.Getpid()}, nil }
}

var me = user(os.Geteuid())

func outside(peer) bool { return false }
func within(peer) bool  { return true }

func TestControlSocketIsTheUsersAlone(t *testing.T) {
	t.Parallel()
	t.Run("its mode is 0600 in a directory of 0700, and it goes at the end", func(t *testing.T) {
		t.Parallel()
		_, c, _ := control(t, me, outside)
		file, err := os.Lstat(c.path)
		if err != nil || file.Mode() != os.ModeSocket|0o600 {
			t.Errorf("the socket is %v, %v", file.Mode(), err)
		}
		if dir, err := os.Lstat(filepath.Dir(c.path)); err != nil || dir.Mode() != os.ModeDir|0o700 {
			t.Errorf("its directory is %v, %v", dir.Mode(), err)
		}
		c.close()
		if _, err := os.Lstat(c.path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("it stays: %v", err)
		}
	})
	t.Run("it is in the runtime directory where that is as it should be", func(t *testing.T) {
		t.Parallel()
		runtime := t.TempDir()
		if err := os.Chmod(runtime, 0o700); err != nil {
			t.Fatal(err)
		}
		_, c, _ := control(t, me, outside, "XDG_RUNTIME_DIR="+runtime)
		if filepath.Dir(c.path) != filepath.Join(runtime, "kz") {
			t.Errorf("it is %s", c.path)
		}
	})
	t.Run("a directory that is a link or open to others is not used", func(t *testing.T) {
		t.Parallel()
		for _, prepare := range []func(dir string) error{
			func(dir string) error { return os.Symlink(t.TempDir(), dir) },
			func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o770)) },
		} {
			a, _, _ := testApp("HOME=" + t.TempDir())
			state, err := a.stateDir()
			if err == nil {
				err = prepare(filepath.Join(state, "control"))
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := a.newControl("5e5510", "kz proxy", nil); err == nil || !strings.Contains(err.Error(), "is a link, or open to others") {
				t.Errorf("got %v", err)
			}
		}
	})
	t.Run("a path longer than an address can hold works", func(t *testing.T) {
		t.Parallel()
		a, c, _ := control(t, me, outside, "XDG_STATE_HOME="+filepath.Join(t.TempDir(), strings.Repeat("long/", 30)))
		if paths, all := a.controlSockets(); len(c.path) < 150 || len(paths) != 1 || !all {
			t.Fatalf("the socket is %s", c.path)
		}
		if r, err := askControl(c.path, opReload, 30*time.Second); err != nil || r.Session != "5e5510" {
			t.Errorf("got %+v, %v", r, err)
		}
	})
}

func TestControlPeer(t *testing.T) {
	t.Parallel()
	t.Run("one of this user, outside the session, may reload", func(t *testing.T) {
		t.Parallel()
		_, c, reloads := control(t, me, outside)
		r, err := askControl(c.path, opReload, 30*time.Second)
		if err != nil || reloads.Load() != 1 || len(r.Changed) != 1 || r.Command != "kz proxy" {
			t.Errorf("%d reloads, %+v, %v", reloads.Load(), r, err)
		}
		if r, err := askControl(c.path, opInside, 30*time.Second); err != nil || r.Inside {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("one of another user is hung up on", func(t *testing.T) {
		t.Parallel()
		_, c, reloads := control(t, user(os.Geteuid()+1), outside)
		for _, op := range []string{opReload, opInside} {
			if r, err := askControl(c.path, op, 30*time.Second); err == nil || reloads.Load() != 0 {
				t.Errorf("%s: %+v", op, r)
			}
		}
	})
	t.Run("one inside the session is refused, and told that it is inside", func(t *testing.T) {
		t.Parallel()
		_, c, reloads := control(t, me, within)
		r, err := askControl(c.path, opReload, 30*time.Second)
		if err != nil || reloads.Load() != 0 || len(r.Errors) != 1 || len(r.Changed) != 0 {
			t.Errorf("%d reloads, %+v, %v", reloads.Load(), r, err)
		}
		if r, err := askControl(c.path, opInside, 30*time.Second); err != nil || !r.Inside {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("the kernel's word is taken for who it is", func(t *testing.T) {
		t.Parallel()
		known := make(chan peer, 1)
		_, c, _ := control(t, func(conn *net.UnixConn) (peer, error) {
			p, err := peerOf(conn)
			if p.gone == nil || p.gone() {
				t.Error("it is taken for gone")
			}
			known <- p
			return p, err
		}, outside)
		if _, err := askControl(c.path, opInside, 30*time.Second); err != nil {
			t.Fatal(err)
		}
		if got := <-known; got.uid != os.Geteuid() || got.pid != os.Getpid() {
			t.Errorf("it is %+v", got)
		}
	})
	t.Run("one that cannot be followed, or has ended, counts as inside", func(t *testing.T) {
		t.Parallel()
		here := func() bool { return false }
		gone := func() bool { return true }
		ended := exec.Command("true") // /proc shows nothing of it, as of one that is hidden
		if err := ended.Run(); err != nil {
			t.Fatal(err)
		}
		for _, p := range []peer{{pid: 0, gone: here}, {pid: 1, gone: gone}, {pid: 1}, {pid: os.Getpid(), gone: here}, {pid: ended.Process.Pid, gone: here}} {
			if !insideThisSession(p) {
				t.Errorf("%+v is outside", p)
			}
		}
		if insideThisSession(peer{pid: 1, gone: here}) {
			t.Error("the first process is inside")
		}
	})
}

func TestControlRequestsAreBounded(t *testing.T) {
	t.Parallel()
	speak := func(t *testing.T, c *controlServer, line string) (answer string) {
		t.Helper()
		conn, err := dialControl(c.path)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(conn, line)
		answer, _ = bufio.NewReader(conn).ReadString('\n')
		return answer
	}
	t.Run("what is no request gets no answer", func(t *testing.T) {
		t.Parallel()
		_, c, reloads := control(t, me, outside)
		for _, line := range []string{"\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "[]\n", `{"op":"reload","x":"` + strings.Repeat("x", maxControlRequest) + "\"}\n"} {
			if got := speak(t, c, line); got != "" || reloads.Load() != 0 {
				t.Errorf("%.20q is answered %q", line, got)
			}
		}
		if got := speak(t, c, "{\"op\":\"stop\"}\n"); !strings.Contains(got, "does not know that request") {
			t.Errorf("an unknown request is answered %q", got)
		}
	})
	t.Run("those inside leave room for the others, and half a line is not waited for", func(t *testing.T) {
		t.Parallel()
		var freed atomic.Bool
		_, c, reloads := control(t, me, func(peer) bool { return !freed.Load() })
		began := time.Now()
		var held []net.Conn
		for range 2 * maxControlConns {
			conn, err := dialControl(c.path)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, `{"op":"reload"`)
			held = append(held, conn)
		}
		// Answered in the order in which they came: the last one is through.
		_ = held[len(held)-1].SetReadDeadline(time.Now().Add(10 * time.Second))
		_, _ = held[len(held)-1].Read(make([]byte, 1))
		freed.Store(true)
		if r, err := askControl(c.path, opReload, 30*time.Second); err != nil || reloads.Load() != 1 {
			t.Errorf("%+v, %v", r, err)
		}
		_ = held[0].SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := held[0].Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

func TestSocketsOfKilledSessionsAreRemoved(t *testing.T) {
	t.Parallel()
	a, c, _ := control(t, me, outside)
	dir := filepath.Dir(c.path)
	old := time.Now().Add(-time.Hour)
	leave := func(name string) string {
		path := filepath.Join(dir, name)
		address, done, err := shortPath(path)
		if err != nil {
			t.Fatal(err)
		}
		defer done()
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: address, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		_ = l.Close()
		return path
	}
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	dead, young, killed := leave("dead.1.sock"), leave("young.1.sock"), leave(fmt.Sprintf("killed.%d.sock", ended.Process.Pid))
	if err := errors.Join(os.Chtimes(dead, old, old), os.Chtimes(c.path, old, old)); err != nil {
		t.Fatal(err)
	}
	sweepSockets(dir, a.now())
	for path, there := range map[string]bool{dead: false, killed: false, young: true, c.path: true} {
		if _, err := os.Lstat(path); (err == nil) != there {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
	}
}
