package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestAnAuditWithoutEndCanBeLeft: a program that is watched may write faster than what it did is read.
func TestAnAuditWithoutEndCanBeLeft(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/urandom"); err != nil {
		t.Skip("there is no /dev/urandom")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "kz.toml")
	if err := os.WriteFile(file, []byte("[backends.own]\ntype = \"env\"\n[secrets.KEY]\nbackend = \"own\"\nhosts = [\"api.test\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	left := errors.New("left")
	for name, argv := range map[string][]string{
		"while it is shown":    {"audit", "/dev/urandom"},
		"while it is followed": {"audit", "--follow", "--session", "all", "/dev/urandom"},
		"while it is verified": {"audit", "--verify", "/dev/urandom"},
		"while it is searched": {"explain", "--config", file, "--audit", "/dev/urandom", "KEY"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, _, _ := testApp("HOME=" + dir)
			ctx, leave := context.WithCancelCause(background())
			time.AfterFunc(10*time.Millisecond, func() { leave(left) })
			ended := make(chan error, 1)
			go func() { ended <- execute(ctx, newRootCmd(a), argv) }()
			select {
			case err := <-ended:
				if err != nil && !errors.Is(err, left) {
					t.Error(err)
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("kz %s goes on", strings.Join(argv, " "))
			}
		})
	}
}
