package cli

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"kz/ca"
)

func TestTheKeptAuthorityVouchesForNoUpstream(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	a, _, _ := testApp("HOME=" + home)
	if got, err := a.distrusted(); err != nil || len(got) != 0 {
		t.Fatalf("without one: %v, %v", got, err)
	}
	kept, err := ca.New(ca.Options{PermittedHosts: []string{"api.test"}, Lifetime: 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(home, ".local", "state", "kz", "ca")
	if err := ca.Keep(dir, kept); err != nil {
		t.Fatal(err)
	}
	got, err := a.distrusted()
	if err != nil || len(got) != 1 || !got[0].Equal(kept.Certificate()) {
		t.Errorf("with one: %v, %v", got, err)
	}
	// Rather than go on without knowing it.
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := a.distrusted(); err == nil {
		t.Errorf("one that cannot be read is taken for none: %v", got)
	}
}
