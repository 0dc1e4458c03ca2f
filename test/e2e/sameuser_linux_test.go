package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kz/test/bed"
)

// nobody is the user as whom the tests run kz and its child when they are run by root.
const nobody = 65534

// asUser is a Bed that belongs, with kz and this test's own programs in it, to a user who is not root.
type asUser struct {
	*bed.Bed
	t        *testing.T
	kz, self string
}

func newAsUser(t *testing.T) *asUser {
	t.Helper()
	b := bed.New(t)
	b.WithoutRace() // as it is used: a kz with the race detector also prints when it crashes
	u := &asUser{Bed: b, t: t, kz: b.Path("bin/kz"), self: b.Path("bin/self")}
	if err := os.Mkdir(b.Path("bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for to, from := range map[string]string{u.kz: b.Program(), u.self: bed.Self(t)} {
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, data, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return u
}

// run runs kz blind with a script as its child, both as the user. extra are descriptors that kz inherits.
func (u *asUser) run(script string, extra ...*os.File) bed.Result {
	u.t.Helper()
	config := u.WriteBundle()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, u.kz, "run", "--blind", "--quiet", "--config", config, "--audit", u.AuditFile(), "--", "/bin/sh", "-c", script)
	cmd.Dir = u.Path("home")
	cmd.Env = []string{"PATH=" + bed.Path, "HOME=" + cmd.Dir, "TMPDIR=" + u.Path("home/tmp"), "KZ=" + u.kz, "SELF=" + u.self, "CONFIG=" + config}
	cmd.ExtraFiles = extra
	if os.Geteuid() == 0 {
		if err := filepath.WalkDir(filepath.Dir(u.Dir), func(path string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Chown(path, nobody, nobody))
		}); err != nil {
			u.t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		u.t.Fatal(err)
	}
	return bed.Result{Stdout: out.Bytes(), Stderr: errs.Bytes(), Code: cmd.ProcessState.ExitCode()}
}

func TestAChildOfTheSameUserGetsNothingOutOfKz(t *testing.T) {
	t.Parallel()
	u := newAsUser(t)
	u.Secret("API_KEY", bound)

	t.Run("neither its memory, environment, descriptors nor a trace of it", func(t *testing.T) {
		res := u.run(`"$SELF" @pry $PPID; echo --; exec "$SELF" @pry open`)
		res.Succeeds(t)
		u.Clean(res)
		closed, open, ok := strings.Cut(string(res.Stdout), "--\n")
		if n := strings.Count(closed, "\n"); !ok || n < 15 || n != strings.Count(open, "\n") {
			t.Fatalf("not every way was tried:\n%s", res.Output())
		}
		for line := range strings.Lines(closed) {
			if !strings.HasSuffix(line, ": refused\n") {
				t.Errorf("kz lets its child: %s", line)
			}
		}
		for _, way := range []string{"environ", "maps", "mem", "fd", "process_vm_readv", "pidfd_getfd", "ptrace attach"} {
			if !strings.Contains(open, way+": done\n") {
				t.Errorf("%s does not even work on a process that is open:\n%s", way, open)
			}
		}
	})

	t.Run("no descriptor but the standard streams", func(t *testing.T) {
		store, err := os.Open(u.Path("store/secrets.env"))
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		res := u.run(`exec "$SELF" @open`, store)
		res.Succeeds(t)
		if out := string(res.Stdout); out != "listed: yes\n" {
			t.Errorf("the child has %s", out)
		}
	})

	t.Run("no answer over its control socket", func(t *testing.T) {
		res := u.run(`exec "$SELF" @ask`)
		res.Succeeds(t)
		out := string(res.Stdout)
		if !strings.Contains(out, "sockets: 1\n") || !strings.Contains(out, `"errors":["refused inside a blind session"]`) ||
			strings.Contains(out, "changed") || !strings.Contains(out, `"inside":true`) {
			t.Errorf("it says %s", out)
		}
	})

	t.Run("no core and no word when it is made to crash", func(t *testing.T) {
		res := u.run(`ulimit -c unlimited; echo up >&2; exec "$SELF" @crash`)
		u.Clean(res)
		if res.Code == 0 || string(res.Stderr) != "up\n" {
			t.Errorf("exit code %d: %s", res.Code, res.Stderr)
		}
		cores, err := filepath.Glob(u.Path("home/core*"))
		if err != nil || len(cores) > 0 {
			t.Errorf("left behind: %v %v", cores, err)
		}
	})
}

// refusedCommands are those that would give a blind child values, or change what it may reach.
var refusedCommands = []string{"init", "add NEW_KEY --backend local", "status", "run -- /bin/true", "run --blind -- /bin/true", "reload", "trust", "proxy", "ca install", "ca uninstall", "demo",
	"put API_KEY", "put --missing", "backends add more --type env", "backends rm local", "backends check", "status --metrics"}

func TestNoCommandOfKzHelpsABlindChild(t *testing.T) {
	t.Parallel()
	u := newAsUser(t)
	u.Secret("API_KEY", bound)
	const refusal = "is refused inside a blind session"

	t.Run("each is refused, by the mark and by ancestry", func(t *testing.T) {
		var script strings.Builder
		for _, disguise := range []string{"", "env -u KZ_SESSION ", "env -u KZ_SESSION setsid -w "} {
			for _, command := range refusedCommands {
				script.WriteString(disguise + `"$KZ" ` + command + " >>out 2>&1; echo $? >>codes\n")
			}
		}
		res := u.run(script.String() + "cat codes; cat out >&2")
		res.Succeeds(t)
		u.Clean(res)
		want := 3 * len(refusedCommands)
		if n := strings.Count(string(res.Stderr), refusal); n != want || strings.Count(string(res.Stdout), "125\n") != want {
			t.Errorf("%d of %d are refused:\n%s", n, want, res.Output())
		}
	})

	for name, start := range map[string]string{
		"by a second fork":                  `sh -c 'P=$$ setsid sh -c "n=0; while [ -e /proc/\$P ] && [ \$n -lt 1000 ]; do n=\$((n+1)); sleep 0.01; done; sh ./try; touch done" &'`,
		"by a namespace of processes":       `unshare -Urpf --mount-proc sh ./try; touch done`,
		"by a namespace and the old /proc":  `unshare -Urpf sh ./try; touch done`,
		"by a long line of ancestors":       `sh ./deep 1100; touch done`,
		"by a namespace, another directory": `XDG_RUNTIME_DIR=/nonexistent unshare -Urpf --mount-proc sh ./try; touch done`,
	} {
		t.Run("nor is there a way out "+name, func(t *testing.T) {
			t.Parallel()
			u := newAsUser(t)
			u.Secret("API_KEY", bound)
			if strings.Contains(start, "unshare") {
				start = `unshare -Urpf --mount-proc true || { echo none; exit; }; ` + start
			}
			res := u.run(`unset KZ_SESSION
cat >try <<'EOF'
"$KZ" run --config "$CONFIG" -- /usr/bin/env >out 2>&1
EOF
cat >deep <<'EOF'
[ $1 -gt 0 ] && { sh ./deep $(($1-1)); exit; }
sh ./try
EOF
` + start + `
n=0; while [ ! -e done ] && [ $n -lt 2000 ]; do n=$((n+1)); sleep 0.01; done
cat out`)
			res.Succeeds(t)
			u.Clean(res)
			if string(res.Stdout) == "none\n" {
				bed.Missing(t, "the right to make namespaces of users and processes")
			}
			if !strings.Contains(res.Output(), refusal) {
				t.Errorf("it says %s", res.Output())
			}
		})
	}

	t.Run("what gives no value is allowed", func(t *testing.T) {
		res := u.run(`"$KZ" validate --config "$CONFIG" && "$KZ" help >/dev/null && "$KZ" version >/dev/null`)
		res.Succeeds(t)
		u.Clean(res)
	})
}
