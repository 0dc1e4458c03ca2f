package bed

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// busConfig is a message bus of one test's own, which starts no service by itself.
const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=PATH</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
`

// Bus is a session's message bus, for one test.
type Bus struct {
	Address string
	dir     string
}

// NewBus starts a bus on which nothing runs yet.
func NewBus(t testing.TB) *Bus {
	t.Helper()
	daemon := Program(t, "dbus-daemon")
	dir, err := os.MkdirTemp("", "kz") //nolint:usetesting // short: a socket's path has 108 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	config := filepath.Join(dir, "bus.conf")
	if err := os.WriteFile(config, []byte(strings.ReplaceAll(busConfig, "PATH", filepath.Join(dir, "bus"))), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &Bus{dir: dir}
	cmd := exec.Command(daemon, "--config-file="+config, "--nofork", "--nopidfile", "--print-address")
	cmd.Env = b.env()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	b.start(t, cmd)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("starting a bus: %v", err)
	}
	b.Address = strings.TrimSpace(line)
	return b
}

// NewKeyring starts a bus with gnome-keyring on it, whose one keyring is new and unlocked.
func NewKeyring(t testing.TB) *Bus {
	t.Helper()
	daemon, send := Program(t, "gnome-keyring-daemon"), Program(t, "dbus-send")
	b := NewBus(t)
	cmd := exec.Command(daemon, "--foreground", "--unlock", "--components=secrets", "--control-directory="+b.dir)
	cmd.Env, cmd.Stdin = b.env(), strings.NewReader("password")
	b.start(t, cmd)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		ask := exec.CommandContext(ctx, send, "--bus="+b.Address, "--print-reply", "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.GetNameOwner", "string:org.freedesktop.secrets")
		if ask.Run() == nil {
			return b
		}
		if ctx.Err() != nil {
			t.Fatal("gnome-keyring does not start")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// env is what the bus and its services get: nothing of this machine's user.
func (b *Bus) env() []string {
	env := []string{"PATH=" + Path, "HOME=" + b.dir, "XDG_RUNTIME_DIR=" + b.dir, "XDG_DATA_HOME=" + b.dir, "XDG_CONFIG_HOME=" + b.dir}
	if b.Address != "" {
		env = append(env, "DBUS_SESSION_BUS_ADDRESS="+b.Address)
	}
	return env
}

func (b *Bus) start(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}
