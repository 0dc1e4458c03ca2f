package framing_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"kz/ca"
	"kz/test/bed"
	"kz/test/framing"
)

func TestMain(m *testing.M) { bed.Main(m, nil) }

// TestOrigins speaks to each server directly: what it says of a request that is as it should be, of one that it refuses,
// and of one that ends early.
func TestOrigins(t *testing.T) {
	t.Parallel()
	authority, err := ca.New(ca.Options{Name: "framing"})
	if err != nil {
		t.Fatal(err)
	}
	minter, err := ca.NewMinter(authority, ca.MinterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := minter.Leaf("origin.test")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(authority.Certificate())
	for _, kind := range framing.Kinds {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			o, err := framing.Start(kind, framing.Options{Program: framing.Program(t, kind), Dir: t.TempDir(), Certificate: leaf, Value: "the-value"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := o.Close(); err != nil {
					t.Error(err)
				}
			})
			asked := 0
			say := func(text string) string {
				// Each is in the log before the next one comes: a server writes it when it has answered, in whatever order.
				asked++
				defer bed.Eventually(t, "the request was seen", func() bool {
					seen, err := o.Seen()
					return err == nil && len(seen) == asked
				})
				conn, err := tls.Dial("tcp", o.Addr, &tls.Config{RootCAs: roots, ServerName: "origin.test"})
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
				_, _ = io.WriteString(conn, text)
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					return err.Error()
				}
				return fmt.Sprintf("%d %s %s", resp.StatusCode, resp.Header.Get("X-Target"), resp.Header["X-Origin"])
			}
			if got := say("POST /good HTTP/1.1\r\nHost: origin.test\r\nX-Key: the-value\r\nContent-Length: 5\r\n\r\nhello"); !strings.HasPrefix(got, "200 /good") {
				t.Errorf("a good request: %s", got)
			}
			if got := say("POST /chunks HTTP/1.1\r\nHost: origin.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"); !strings.HasPrefix(got, "200 /chunks") {
				t.Errorf("a chunked one: %s", got)
			}
			if got := say("GET /bad HTTP/7.1 x\r\nHost: origin.test\r\n\r\n"); strings.HasPrefix(got, "2") {
				t.Errorf("a bad one: %s", got)
			}
			seen, err := o.Seen()
			if err != nil || len(seen) != 3 {
				t.Fatalf("seen: %+v %v", seen, err)
			}
			if s := seen[0]; s.Line != "POST /good HTTP/1.1" || s.Length != "5" || s.Encoding != "" || s.Status != 200 || s.Conn == "" {
				t.Errorf("seen: %+v", s)
			}
			if s := seen[1]; s.Line != "POST /chunks HTTP/1.1" || s.Length != "" || s.Encoding != "chunked" || s.Conn == seen[0].Conn {
				t.Errorf("seen: %+v", s)
			}
			taken, err := o.Taken()
			if err != nil || len(taken) != 2 {
				t.Fatalf("taken: %+v %v", taken, err)
			}
			if x := taken[0]; x.Method != "POST" || x.Target != "/good" || x.Sum != framing.Sum("hello") || !x.Value || x.Header["x-key"] != "the-value" {
				t.Errorf("taken: %+v", x)
			}
			if x := taken[1]; x.Sum != framing.Sum("hello") || x.Value {
				t.Errorf("taken: %+v", x)
			}
		})
	}
}
