package e2e_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"kz/test/bed"
)

// inNamespace runs a script in namespaces of its own, where it is root, with PATH and HOME of the Bed.
func inNamespace(t *testing.T, b *bed.Bed, flags, script string) bed.Result {
	t.Helper()
	unshare := bed.Program(t, "unshare")
	if err := exec.Command(unshare, flags, "true").Run(); err != nil {
		bed.Missing(t, "namespaces: "+err.Error())
	}
	var out, errs strings.Builder
	cmd := exec.Command(unshare, flags, "/bin/sh", "-c", "set -e\n"+script, "sh", b.Program(), b.WriteBundle())
	cmd.Env = append([]string{"PATH=" + bed.Path, "HOME=" + b.Path("home"), "TMPDIR=" + b.Path("home/tmp"), "GORACE=" + os.Getenv("GORACE")}, b.Env...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = b.Path("home"), &out, &errs
	_ = cmd.Run()
	return bed.Result{Stdout: []byte(out.String()), Stderr: []byte(errs.String()), Code: cmd.ProcessState.ExitCode()}
}

// holding connects to a server of its own off loopback, and holds the connection for longer than the doctor takes to look.
const holding = `
import socket, time
s = socket.create_server(("192.0.2.7", 8443))
c = socket.create_connection(("192.0.2.7", 8443))
time.sleep(2)`

func TestDoctorSeesConnectionsPastTheProxy(t *testing.T) {
	t.Parallel()
	python, ip := bed.Python(t), bed.Program(t, "ip")
	b := bed.New(t)
	b.Secret("API_KEY", `hosts = ["api.test"]`)
	if err := os.WriteFile(b.Path("home/hold.py"), []byte(holding), 0o600); err != nil {
		t.Fatal(err)
	}
	res := inNamespace(t, b, "-Urn", ip+` link set lo up
`+ip+` addr add 192.0.2.7/32 dev lo
mkdir bin
PATH=$PWD/bin exec "$1" doctor --json --config "$2" -- `+python+` hold.py`)
	res.Exits(t, 1)
	b.Clean(res)
	d := diagnosed(t, res)
	if f := d.finding("command-direct"); f.Weight != "error" || !strings.Contains(f.Title, "past the proxy to 192.0.2.7:8443") || !strings.Contains(f.Fix, "sitecustomize") {
		t.Errorf("it finds %+v", d.Findings)
	}
	if c := d.Command; c == nil || c.ExitCode != 0 || len(c.Direct) == 0 || !strings.HasPrefix(c.Kind, "python") {
		t.Errorf("the command did %+v", c)
	}
}

func TestDoctorSeesADiskThatIsFull(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	b.Secret("API_KEY", `hosts = ["api.test"]`)
	res := inNamespace(t, b, "-Urm", `mkdir -p -m 700 .local/state bin
mount -t tmpfs -o size=1m,mode=700 none .local/state
PATH=$PWD/bin exec "$1" doctor --json --config "$2"`)
	res.Exits(t, 0)
	d := diagnosed(t, res)
	if f := d.finding("disk-full"); f.Weight != "warning" || !strings.Contains(f.Title, " MiB are free") || !strings.Contains(f.Fix, "make room") {
		t.Errorf("it finds %+v", d.Findings)
	}
}
