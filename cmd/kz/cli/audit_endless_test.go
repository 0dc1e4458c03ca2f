package cli

import (
	"bytes"
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
	dir := t.TempDir()
	// Far more lines than are read in the time it is left after.
	endless := filepath.Join(dir, "audit.jsonl")
	if err := os.WriteFile(endless, bytes.Repeat([]byte("\n"), 8<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "kz.toml")
	if err := os.WriteFile(file, []byte("[backends.own]\ntype = \"env\"\n[secrets.KEY]\nbackend = \"own\"\nhosts = [\"api.test\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	left := errors.New("left")
	for name, argv := range map[string][]string{
		"while it is shown":    {"audit", endless},
		"while it is followed": {"audit", "--follow", "--session", "all", endless},
		"while it is verified": {"audit", "--verify", endless},
		"while it is searched": {"explain", "--config", file, "--audit", endless, "KEY"},
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
