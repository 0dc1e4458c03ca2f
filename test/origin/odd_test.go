package origin_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"kz/test/origin"
)

func TestCut(t *testing.T) {
	t.Parallel()
	o := start(t)
	for _, c := range []struct {
		query string
		h2    bool
		whole bool
	}{
		{"framing=length&end=rst", false, false},
		{"framing=length&end=fin", false, false},
		{"framing=length&end=close", false, false},
		{"framing=chunked&end=rst", false, false},
		{"framing=chunked&end=close", false, false},
		{"framing=chunked&end=close&between=1", false, false},
		{"framing=close&end=close", false, true},
		{"framing=close&end=fin", false, true}, // crypto/tls takes FIN without close_notify for an end
		{"framing=close&end=rst", false, false},
		{"framing=length&end=rst", true, false},
		{"framing=length&end=fin", true, false},
		{"framing=chunked&end=close", true, false},
		{"framing=chunked&end=rst", true, false},
	} {
		t.Run(fmt.Sprintf("%s h2=%v ends early", c.query, c.h2), func(t *testing.T) {
			t.Parallel()
			resp, err := client(t, o, "tls", c.h2).Do(request(t, "GET", "https://api.test/cut?at=1000&"+c.query, ""))
			if err != nil {
				if strings.Contains(c.query, "rst") {
					return // RST may overtake the head
				}
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if (err == nil) != c.whole || len(b) > 1000 {
				t.Errorf("read %d bytes, error %v, want whole %v", len(b), err, c.whole)
			}
		})
	}
	t.Run("drop gives no answer", func(t *testing.T) {
		t.Parallel()
		for _, end := range []string{"rst", "fin", "close"} {
			if _, err := client(t, o, "tls", false).Do(request(t, "POST", "https://api.test/drop?end="+end, "x")); err == nil {
				t.Errorf("%s: answered", end)
			}
		}
	})
}

func TestWebSocket(t *testing.T) {
	t.Parallel()
	o := start(t)
	c, _, err := websocket.Dial(t.Context(), "wss://api.test/ws?hello=1", &websocket.DialOptions{
		HTTPClient: client(t, o, "tls", false), HTTPHeader: http.Header{"Authorization": {"Bearer x"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if _, b, err := c.Read(t.Context()); err != nil || string(b) != "Bearer x" {
		t.Errorf("hello %q %v", b, err)
	}
	if err := c.Write(t.Context(), websocket.MessageText, []byte("message")); err != nil {
		t.Fatal(err)
	}
	if _, b, err := c.Read(t.Context()); err != nil || string(b) != "message" {
		t.Errorf("echo %q %v", b, err)
	}
	_ = c.Close(websocket.StatusNormalClosure, "")
	if got := settled(t, o, 1)[0]; string(got.Body) != "message" {
		t.Errorf("recorded %q", got.Body)
	}
}

func TestGit(t *testing.T) {
	t.Parallel()
	git, err := exec.LookPath("git")
	if err != nil {
		if os.Getenv("KZ_TEST_REQUIRE") == "1" {
			t.Fatal("git is not installed")
		}
		t.Skip("git is not installed: smart HTTP was not tried")
	}
	o := start(t)
	o.SetBasic("", "tok")
	dir := t.TempDir()
	run := func(user string, args ...string) error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, git, append([]string{
			"-c", "http.sslCAInfo=" + o.CAFile(), "-c", "credential.helper=",
		}, args...)...)
		cmd.WaitDelay = time.Second
		cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1"}
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", user, err, out)
		}
		return nil
	}
	_, port, _ := net.SplitHostPort(o.Addr("tls"))
	url := func(user string) string { return "https://" + user + "@git.test:" + port + "/repo.git" }
	resolve := "http.curloptResolve=git.test:" + port + ":127.0.0.1"
	if err := run("x:tok", "-c", resolve, "clone", "-q", url("x:tok"), filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "a", "README")); err != nil || string(b) != "hello\n" {
		t.Errorf("README %q %v", b, err)
	}
	if err := run("x:bad", "-c", resolve, "clone", "-q", url("x:bad"), filepath.Join(dir, "b")); err == nil {
		t.Error("a wrong password was taken")
	}
	// A push, past git's buffer, so that it is chunked; over HTTP/1.1, because
	// libcurl 7.88 may stall while it sends such a body over h2.
	big, _ := io.ReadAll(origin.Stream(1, 3<<20))
	if err := os.WriteFile(filepath.Join(dir, "a", "big"), big, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"add", "big"},
		{"-c", "user.name=x", "-c", "user.email=x@x.test", "commit", "-qm", "big"},
		{"-c", "http.version=HTTP/1.1", "push", "-q", "origin", "HEAD:main"},
	} {
		if err := run("x:tok", append([]string{"-C", filepath.Join(dir, "a"), "-c", resolve}, args...)...); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRaw(t *testing.T) {
	t.Parallel()
	o := start(t)
	names := o.ScriptNames()
	if len(names) < 30 {
		t.Fatalf("scripts: %d", len(names))
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(o.CAPEM())
	ask := func(path string) ([]byte, error) {
		raw, err := net.Dial("tcp", o.Addr("raw"))
		if err != nil {
			return nil, err
		}
		under := &eofConn{Conn: raw}
		c := tls.Client(under, &tls.Config{RootCAs: roots, ServerName: "api.test"})
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", path)
		b, err := io.ReadAll(c)
		if err == nil && under.eof {
			err = io.ErrUnexpectedEOF // crypto/tls takes FIN without close_notify for an end
		}
		return b, err
	}
	t.Run("an answer is sent byte for byte", func(t *testing.T) {
		t.Parallel()
		o.SetRaw("mine", origin.Script{Answer: []byte("odd\x00bytes"), Split: 2, End: origin.EndClose})
		if b, err := ask("/mine"); err != nil || string(b) != "odd\x00bytes" {
			t.Errorf("%q %v", b, err)
		}
		for _, r := range o.Requests() {
			if r.Path == "/mine" && !bytes.HasSuffix(r.Raw, []byte("\r\n2\r\nhi\r\n0\r\n\r\n")) {
				t.Errorf("recorded %q", r.Raw)
			}
		}
	})
	t.Run("the end is the one asked for", func(t *testing.T) {
		t.Parallel()
		for end, want := range map[origin.End]error{origin.EndClose: nil, origin.EndFIN: io.ErrUnexpectedEOF} {
			o.SetRaw(string(end), origin.Script{Answer: []byte("x"), End: end})
			if _, err := ask("/" + string(end)); !errors.Is(err, want) {
				t.Errorf("%s: %v", end, err)
			}
		}
		if _, err := ask("/reset-before-answer"); err == nil {
			t.Error("reset: no error")
		}
	})
	t.Run("a client gets an ordinary answer too", func(t *testing.T) {
		t.Parallel()
		if _, b := do(t, client(t, o, "raw", false), request(t, "GET", "https://api.test/ok", "")); string(b) != "ok" {
			t.Errorf("%q", b)
		}
	})
}

// eofConn notices FIN.
type eofConn struct {
	net.Conn
	eof bool
}

func (c *eofConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.eof = c.eof || err == io.EOF
	return n, err
}
