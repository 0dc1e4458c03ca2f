package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestADirectoryOfAnotherUser: what clients load is in it, and who has made it beforehand can put something else there.
func TestADirectoryOfAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		return // it takes root to give a directory away
	}
	for _, tt := range []struct {
		name string
		uid  int
		want bool
	}{{"its own is as it should be", 0, false}, {"another user's is warned of", nobody, true}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.Chown(dir, tt.uid, -1); err != nil {
				t.Fatal(err)
			}
			remove, said, err := announced(t, proxyFlags{CADir: dir, EnvFile: filepath.Join(t.TempDir(), "env"), EnvFileMode: 0o600})
			if err != nil {
				t.Fatal(err)
			}
			remove()
			if warned := strings.Contains(said, "belongs to another user"); warned != tt.want {
				t.Errorf("it says %s", said)
			}
		})
	}
}
