package proxy_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"kz/proxy"
	"kz/proxy/audit"
	"kz/proxy/policy"
)

// inFile gives a proxy an audit in a file; path is set to where it is.
func inFile(path *string) bedOption {
	return func(b *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
		*path = filepath.Join(b.t.TempDir(), "audit")
		f, err := audit.OpenFile(*path)
		if err != nil {
			b.t.Fatal(err)
		}
		b.t.Cleanup(func() { _ = f.Close() })
		o.Audit = f
	}
}

// spoil is what can be done to an audit file, before and after which a proxy looks at it.
var spoil = map[string]func(path string) error{
	"removed": os.Remove,
	"moved":   func(path string) error { return os.Rename(path, path+".old") },
	"emptied": func(path string) error { return os.Truncate(path, 0) },
}

func TestNothingGoesOnWhoseRecordIsGone(t *testing.T) {
	t.Parallel()
	for name, do := range spoil {
		t.Run("the audit file was "+name, func(t *testing.T) {
			t.Parallel()
			var path string
			b := newBed(t, inFile(&path))
			good := func() *http.Request {
				return b.request("GET", "https://api.test/x", "", "Authorization: Bearer "+b.mask("KEY"))
			}
			if a := b.do(good()); a.StatusCode != http.StatusOK {
				t.Fatalf("before: %d", a.StatusCode)
			}
			b.upstreamGot()
			waitForLines(t, path, 1)
			if err := do(path); err != nil {
				t.Fatal(err)
			}
			for _, r := range []*http.Request{good(), b.request("GET", "https://api.test/plain", ""), b.request("GET", "http://tunnel.test/plain", "")} {
				b.refused(b.do(r), http.StatusServiceUnavailable, "audit_unavailable")
			}
			for _, target := range []string{"api.test:443", "tunnel.test:443"} {
				if _, status := b.tryConnect(target, "Proxy-Authorization: Basic "+basic("kz", credential)+"\r\n"); status != http.StatusServiceUnavailable {
					t.Errorf("CONNECT %s: %d", target, status)
				}
			}
			b.nothingSent()
		})
	}
}

// waitForLines waits until an audit file has n lines.
func waitForLines(t *testing.T, path string, n int) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if f, err := os.Open(path); err == nil {
			r, err := audit.Verify(f)
			_ = f.Close()
			if err == nil && r.Lines >= n {
				return
			}
		}
	}
	t.Fatalf("%s has no %d lines", path, n)
}

func TestAnOpenSocketGetsNoValueThatCannotBeRecorded(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 10)
	var path string
	b := newBed(t, inFile(&path), keyPlaces("header", "frame"), talking(func(ctx context.Context, c *websocket.Conn) {
		for {
			_, data, err := c.Read(ctx)
			if err != nil {
				return
			}
			heard <- string(data)
		}
	}))
	ctx, c := b.dial()
	say := func(want string) {
		t.Helper()
		if err := c.Write(ctx, websocket.MessageText, []byte(b.mask("KEY"))); err != nil {
			t.Fatal(err)
		}
		if got := <-heard; got != want {
			t.Errorf("the upstream heard %q, want %q", got, want)
		}
	}
	say(keyValue)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	say(b.mask("KEY"))
}

func TestAnOpenRequestGetsNoValueThatCannotBeRecorded(t *testing.T) {
	t.Parallel()
	var path string
	heard := make(chan string, 1)
	b := newBed(t, inFile(&path), keyPlaces("body:*"), answering(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadFull(r.Body, make([]byte, 2<<20)); err != nil {
			heard <- fmt.Sprint(err)
			return
		}
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		rest, _ := io.ReadAll(r.Body)
		heard <- string(rest)
	}))
	in, out := io.Pipe()
	r, err := http.NewRequest("POST", "https://api.test/x", in)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = out.Write(make([]byte, 3<<20)) }()
	resp, err := b.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = out.Write([]byte(b.mask("KEY")))
		_ = out.Close()
	}()
	if rest := <-heard; strings.Contains(rest, keyValue) {
		t.Error("the value was sent")
	}
}
