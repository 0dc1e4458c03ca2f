package proxy

import (
	"os"
	"path/filepath"
	"testing"
)

// TestGoproxyHasNoVoice is not parallel: goproxy takes standard error when it is made.
func TestGoproxyHasNoVoice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stderr")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	was := os.Stderr
	os.Stderr = file
	p := &Proxy{transports: newTransports(&dialer{})}
	g := p.newGoproxy()
	os.Stderr = was
	g.Logger.Printf("what an upstream said")
	if said, err := os.ReadFile(path); err != nil || len(said) > 0 {
		t.Errorf("it said %q, %v", said, err)
	}
	if g.Verbose {
		t.Error("it writes of every request, with its URL")
	}
}
