//go:build unix

package onepassword

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestWhatOpPrintsIsWhole has this process come to read what op has printed when it waits no longer.
func TestWhatOpPrintsIsWhole(t *testing.T) {
	t.Parallel()
	want := strings.Repeat("0123456789abcdef", 2<<10) // what a pipe holds, half full
	for name, lines := range map[string]string{
		"when nothing holds its output":         `printf %s "$0"`,
		"when what it leaves behind holds that": `sleep 20 & printf %s "$0"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 20 {
				to := &bounded{max: maxAnswer}
				cmd := exec.CommandContext(t.Context(), "sh", "-c", lines, want)
				ownGroup(cmd)
				ended, whole := printed(cmd, to, time.Nanosecond)
				_ = cmd.Cancel()
				if ended != nil || !whole || !bytes.Equal(to.kept, []byte(want)) {
					t.Errorf("%d bytes of %d, whole: %v, %v", len(to.kept), len(want), whole, ended)
				}
			}
		})
	}
	t.Run("and one without an end is not", func(t *testing.T) {
		t.Parallel()
		to := &bounded{max: 1 << 20}
		if _, whole := printed(exec.CommandContext(t.Context(), "yes"), to, time.Minute); whole || !to.full {
			t.Errorf("%d bytes are taken for all", len(to.kept))
		}
	})
}
