//go:build linux

package keychain_test

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	gokeyring "github.com/zalando/go-keyring"

	"kz/resolver"
	"kz/resolver/keychain"
	"kz/resolver/resolvertest"
	"kz/test/bed"
)

// TestMain is also the peer: go-keyring, which knows only the one bus of its process.
func TestMain(m *testing.M) {
	switch account := os.Getenv("PEER_ACCOUNT"); os.Getenv("PEER") {
	case "set":
		value, _ := io.ReadAll(os.Stdin)
		if err := gokeyring.Set("kz", account, string(value)); err != nil {
			panic(err)
		}
		os.Exit(0)
	case "get":
		value, err := gokeyring.Get("kz", account)
		if err != nil {
			panic(err)
		}
		_, _ = os.Stdout.WriteString(value)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// peer lets go-keyring act on a bus.
func peer(t *testing.T, bus *bed.Bus, action, account, value string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = []string{"PEER=" + action, "PEER_ACCOUNT=" + account, "DBUS_SESSION_BUS_ADDRESS=" + bus.Address}
	cmd.Stdin = strings.NewReader(value)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go-keyring: %v", err)
	}
	return string(out)
}

func open(t *testing.T, address string, change func(*keychain.Options)) *keychain.Store {
	t.Helper()
	o := keychain.Options{Getenv: func(name string) string {
		if name == "DBUS_SESSION_BUS_ADDRESS" {
			return address
		}
		return "/nonexistent"
	}}
	if change != nil {
		change(&o)
	}
	s, err := keychain.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	resolvertest.Shown(t, "keychain", "", "gnome-keyring (Secret Service); macOS and Windows are only compiled")
	bus := bed.NewKeyring(t)
	resolvertest.Run(t, func(t *testing.T) resolvertest.Harness {
		s := open(t, bus.Address, func(o *keychain.Options) { o.Service = t.Name() })
		return resolvertest.Harness{
			Resolver: s,
			Put: func(t *testing.T, id, value string) {
				if err := s.Put(t.Context(), resolver.Ref{ID: id}, resolver.NewSecret(value)); err != nil {
					t.Fatal(err)
				}
			},
			Down: func(t *testing.T) resolver.Resolver { return open(t, "unix:path=/nonexistent", nil) },
			Silent: func(t *testing.T, limit time.Duration) resolver.Resolver {
				return open(t, mute(t), func(o *keychain.Options) { o.Timeout = limit })
			},
		}
	})
}

// mute is a bus that takes connections and says nothing.
func mute(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kz") //nolint:usetesting // short: a socket's path has 108 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "bus"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
		}
	}()
	return "unix:path=" + filepath.Join(dir, "bus")
}

func fails(t *testing.T, err error, kind resolver.Kind, parts ...string) {
	t.Helper()
	var e *resolver.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("%v, want %s", err, kind)
	}
	if e.Hint() == "" {
		t.Errorf("no hint: %v", err)
	}
	for _, part := range parts {
		if !strings.Contains(e.Error()+"\n"+e.Hint(), part) {
			t.Errorf("%q %q lacks %q", e.Error(), e.Hint(), part)
		}
	}
	resolvertest.NoLeak(t, err, resolvertest.Canary)
}

func TestEntriesAreThoseOfGoKeyring(t *testing.T) {
	t.Parallel()
	bus := bed.NewKeyring(t)
	s := open(t, bus.Address, nil)
	long := strings.Repeat("0123456789abcdef", 1000) + "\nline \"two\"\n\x01\xff"
	peer(t, bus, "set", "A", long)
	if r, err := s.Resolve(t.Context(), resolver.Ref{ID: "A"}); err != nil || r.Secret.Reveal() != long {
		t.Errorf("what go-keyring wrote: %v", err)
	}
	for _, account := range []string{"A", "B c/d"} {
		if err := s.Put(t.Context(), resolver.Ref{ID: account}, resolver.NewSecret("new "+long)); err != nil {
			t.Fatal(err)
		}
		if got := peer(t, bus, "get", account, ""); got != "new "+long {
			t.Errorf("go-keyring reads %d bytes of %s", len(got), account)
		}
	}
	fails(t, s.Put(t.Context(), resolver.Ref{ID: "A"}, resolver.NewSecret(strings.Repeat("x", 1<<20+1))), resolver.InvalidReference, "1 MiB", "local")
	_, err := s.Resolve(t.Context(), resolver.Ref{ID: "a\nb"})
	fails(t, err, resolver.InvalidReference)
	_, err = s.Resolve(t.Context(), resolver.Ref{ID: "absent"})
	fails(t, err, resolver.NotFound, `no entry "absent" of the service "kz"`, "kz put")
	_, err = open(t, bus.Address, func(o *keychain.Options) { o.Service = "other" }).Resolve(t.Context(), resolver.Ref{ID: "A"})
	fails(t, err, resolver.NotFound, `"other"`)
}

// connect is a connection of the test's own.
func connect(t *testing.T, bus *bed.Bus) *dbus.Conn {
	t.Helper()
	conn, err := dbus.Connect(bus.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestALockedKeyring(t *testing.T) {
	t.Parallel()
	bus := bed.NewKeyring(t)
	s := open(t, bus.Address, nil)
	if err := s.Put(t.Context(), resolver.Ref{ID: "k"}, resolver.NewSecret(resolvertest.Canary)); err != nil {
		t.Fatal(err)
	}
	lock := connect(t, bus).Object("org.freedesktop.secrets", "/org/freedesktop/secrets").
		Call("org.freedesktop.Secret.Service.Lock", 0, []dbus.ObjectPath{"/org/freedesktop/secrets/collection/login"})
	if lock.Err != nil {
		t.Fatal(lock.Err)
	}
	_, err := s.Resolve(t.Context(), resolver.Ref{ID: "k"})
	fails(t, err, resolver.AccessDenied, "locked", "--unlock")
	_, err = s.Resolve(t.Context(), resolver.Ref{ID: "absent"})
	fails(t, err, resolver.AccessDenied, "locked")
	fails(t, s.Put(t.Context(), resolver.Ref{ID: "k"}, resolver.NewSecret(resolvertest.Canary)), resolver.AccessDenied, "locked")
	fails(t, s.Put(t.Context(), resolver.Ref{ID: "new"}, resolver.NewSecret(resolvertest.Canary)), resolver.AccessDenied, "locked")
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("a check of a locked keyring: %v", err)
	}
}

func TestNoKeyring(t *testing.T) {
	t.Parallel()
	t.Run("a bus without a keyring", func(t *testing.T) {
		t.Parallel()
		s := open(t, bed.NewBus(t).Address, nil)
		_, err := s.Resolve(t.Context(), resolver.Ref{ID: "k"})
		fails(t, err, resolver.Unavailable, "no keyring (Secret Service) runs", "local")
		fails(t, s.Check(t.Context()), resolver.Unavailable)
	})
	t.Run("no bus", func(t *testing.T) {
		t.Parallel()
		_, err := open(t, "", nil).Resolve(t.Context(), resolver.Ref{ID: "k"})
		fails(t, err, resolver.Unavailable, "no session bus here", "dbus-run-session")
	})
	t.Run("an address that is no socket's is not followed", func(t *testing.T) {
		t.Parallel()
		mark := filepath.Join(t.TempDir(), "mark")
		for _, address := range []string{"unixexec:path=/usr/bin/touch,argv1=" + mark, "tcp:host=127.0.0.1,port=1", "autolaunch:", "unix:path=/nonexistent;unixexec:path=/usr/bin/touch,argv1=" + mark} {
			_, err := open(t, address, nil).Resolve(t.Context(), resolver.Ref{ID: "k"})
			fails(t, err, resolver.InvalidReference, "not the address of a socket")
		}
		if _, err := os.Stat(mark); err == nil {
			t.Error("a program was run")
		}
	})
	t.Run("the socket of the runtime directory stands in for a missing address", func(t *testing.T) {
		t.Parallel()
		bus := bed.NewKeyring(t)
		path, _, _ := strings.Cut(strings.TrimPrefix(bus.Address, "unix:path="), ",")
		s := open(t, "", func(o *keychain.Options) {
			o.Getenv = func(name string) string {
				if name == "XDG_RUNTIME_DIR" {
					return filepath.Dir(path)
				}
				return ""
			}
		})
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
