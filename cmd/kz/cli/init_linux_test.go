package cli

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestInitDoesNotWaitForAPipe(t *testing.T) {
	t.Parallel()
	w := newInitWorld(t, nil)
	if err := syscall.Mkfifo(filepath.Join(w.dir, ".env"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := w.kz(t, "init"); code != exitFailure || !strings.Contains(stderr, "error: reading .env: it is not a regular file") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}
