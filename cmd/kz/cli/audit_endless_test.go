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
	// Far more lines than are read in the time it is left after. Who reads them to the end does not say that it was left.
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
				if following := argv[1] == "--follow"; !errors.Is(err, left) && (err != nil || !following) {
					t.Errorf("it was not left: %v", err)
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("kz %s goes on", strings.Join(argv, " "))
			}
		})
	}
}

// TestAnAuditThatGrowsAsItIsFollowedCanBeLeft has a line come for each that is read.
func TestAnAuditThatGrowsAsItIsFollowedCanBeLeft(t *testing.T) {
	t.Parallel()
	line := `{"kind":"request","path":"/` + strings.Repeat("a", 1000) + "\"}\n"
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.WriteFile(path, []byte(strings.Repeat(line, 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	// It is left after 10,000 lines, of which the file had a tenth, and may give what it has read already.
	n := 0
	err = (&followed{path: path}).read(ctx, func(auditLine) error {
		if n++; n == 10000 {
			leave()
		} else if n > 20000 {
			return errors.New("it goes on")
		}
		_, err := file.WriteString(line)
		return err
	}, func() { t.Error("the file was not replaced") })
	if err != nil || n < 10000 {
		t.Errorf("%d lines: %v", n, err)
	}
}
