package cli

import (
	"context"
	"strings"
	"testing"
)

func TestSessionGuard(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		env      []string
		ancestor bool
		refused  bool
	}{
		{"outside", nil, false, false},
		{"by the mark", []string{"KZ_SESSION=s1"}, false, true},
		{"by an empty mark", []string{"KZ_SESSION="}, false, true},
		{"by ancestry", nil, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, _, stderr := testApp(tt.env...)
			a.inSession = func() bool { return tt.ancestor }
			ran := false
			c := runCommand(a, func(context.Context, runFlags, []string) error { ran = true; return nil })
			err := execute(background(), withRoot(c), []string{"run", "--", "true"})
			a.ui.Error(err)
			if ran == tt.refused || tt.refused != (exitCode(err) == exitFailure) {
				t.Errorf("ran: %v, error %v", ran, err)
			}
			if tt.refused && !strings.Contains(stderr.String(), "kz: error: `kz run` is refused inside a blind session\nkz: hint: ") {
				t.Errorf("stderr %q", stderr)
			}
		})
	}
}
