package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// orphaned runs a program after its parent has ended and it has left its session, and waits for what it says.
const orphaned = `sh -c 'P=$$ setsid sh -c "n=0; while [ -e /proc/\$P ] && [ \$n -lt 1000 ]; do n=\$((n+1)); sleep 0.01; done; $PROGRAM >$OUT.new; mv $OUT.new $OUT" &'
n=0; while [ ! -e $OUT ] && [ $n -lt 1000 ]; do n=$((n+1)); sleep 0.01; done
cat $OUT
`

func TestWhoLeavesItsParentsStaysInTheSession(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, session, want string }{
		{"of a session, it is still inside", "1", "refused\n"},
		{"of a plain run, it never was", "", "allowed\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command("kz-child", "sh", "-c", orphaned)
			cmd.Env = append(os.Environ(), "KZ_TEST_SESSION="+tt.session, "PROGRAM=kz-guard", "OUT="+filepath.Join(t.TempDir(), "out"))
			out, err := cmd.CombinedOutput()
			if err != nil || string(out) != tt.want {
				t.Errorf("got %q, %v", out, err)
			}
		})
	}
}

func TestOrphansOfASessionAreWaitedFor(t *testing.T) {
	t.Parallel()
	// The orphan says its number; once it has ended, it must go away altogether while the session goes on.
	const script = orphaned + `
n=0; while [ -e /proc/$(cat $OUT)/stat ]; do n=$((n+1)); [ $n -lt 1000 ] || { echo "it stays"; exit 1; }; sleep 0.01; done
`
	cmd := exec.Command("kz-child", "sh", "-c", script)
	cmd.Env = append(os.Environ(), "KZ_TEST_SESSION=1", `PROGRAM=echo $$`, "OUT="+filepath.Join(t.TempDir(), "out"))
	out, err := cmd.CombinedOutput()
	if _, bad := strconv.Atoi(strings.TrimSpace(string(out))); err != nil || bad != nil {
		t.Errorf("%v: %s", err, out)
	}
}
