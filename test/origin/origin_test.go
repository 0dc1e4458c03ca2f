package origin_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kz/test/origin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T) *origin.Origin {
	t.Helper()
	o, err := origin.Start(origin.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	return o
}

// client reaches the named listener under any host name.
func client(t *testing.T, o *origin.Origin, listener string, h2 bool) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(o.CAPEM())
	tr := &http.Transport{
		TLSClientConfig:    &tls.Config{RootCAs: roots},
		ForceAttemptHTTP2:  h2,
		DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", o.Addr(listener))
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func do(t *testing.T, c *http.Client, r *http.Request) (*http.Response, []byte) {
	t.Helper()
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, b
}

func request(t *testing.T, method, url, body string, header ...string) *http.Request {
	t.Helper()
	var b io.Reader
	if body != "" {
		b = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, b)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// settled waits until n requests are done.
func settled(t *testing.T, o *origin.Origin, n int) []origin.Record {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		list := o.Requests()
		if len(list) >= n && !slices.ContainsFunc(list, func(r origin.Record) bool { return !r.Done }) {
			return list
		}
	}
	t.Fatalf("requests recorded: %d, want %d, all done", len(o.Requests()), n)
	return nil
}

func TestRecord(t *testing.T) {
	t.Parallel()
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("a request is recorded as it came, h2 %v", h2), func(t *testing.T) {
			t.Parallel()
			o := start(t)
			r := request(t, "POST", "https://api.test/echo?a=1&b=%2F", "the body", "Authorization", "Bearer x", "X-Two", "1", "X-Two", "2")
			r.Trailer = http.Header{"X-After": {"t"}}
			r.ContentLength = -1
			_, _ = do(t, client(t, o, "tls", h2), r)
			got := settled(t, o, 1)[0]
			sum := sha256.Sum256([]byte("the body"))
			switch {
			case got.Method != "POST", got.Host != "api.test", got.Path != "/echo", got.Query != "a=1&b=%2F", got.Target != "/echo?a=1&b=%2F",
				got.SNI != "api.test", got.Header.Get("Authorization") != "Bearer x", len(got.Header["X-Two"]) != 2,
				string(got.Body) != "the body", got.BodyLen != 8, got.BodySHA != hex.EncodeToString(sum[:]), got.Trailer.Get("X-After") != "t",
				got.ConnBytesIn == 0, (got.Proto == "HTTP/2.0") != h2:
				t.Errorf("record is off: %+v", got)
			}
			if !bytes.Contains(got.All(), []byte("Authorization: Bearer x")) || !bytes.Contains(got.All(), []byte("the body")) {
				t.Errorf("All lacks something: %s", got.All())
			}
			o.Reset()
			if n := len(o.Requests()); n != 0 {
				t.Errorf("requests after Reset: %d", n)
			}
		})
	}

	t.Run("a long body is counted whole and kept in part", func(t *testing.T) {
		t.Parallel()
		o := start(t)
		const n = 5 << 20
		r := request(t, "POST", "https://api.test/sink", "")
		r.Body, r.ContentLength = io.NopCloser(origin.Stream(7, n)), n
		_, b := do(t, client(t, o, "tls", false), r)
		var answer struct {
			Length int64
			SHA256 string
		}
		if err := json.Unmarshal(b, &answer); err != nil || answer.Length != n || answer.SHA256 != origin.StreamSHA(7, n) {
			t.Errorf("sink: %s %v", b, err)
		}
		if got := settled(t, o, 1)[0]; got.BodyLen != n || len(got.Body) != origin.KeepBody || got.BodySHA != origin.StreamSHA(7, n) {
			t.Errorf("record: %d bytes, %d kept, %s", got.BodyLen, len(got.Body), got.BodySHA)
		}
	})

	t.Run("the control port serves the record and takes settings", func(t *testing.T) {
		t.Parallel()
		o := start(t)
		_, _ = do(t, client(t, o, "tls", true), request(t, "GET", "https://api.test/x", ""))
		base := "http://" + o.Addr("control")
		resp, b := do(t, client(t, o, "control", false), request(t, "GET", base+"/requests?wait=1&path=/x", ""))
		var list []origin.Record
		if err := json.Unmarshal(b, &list); err != nil || len(list) != 1 || list[0].Path != "/x" || resp.StatusCode != 200 {
			t.Fatalf("GET /requests: %d %s %v", resp.StatusCode, b, err)
		}
		_, _ = do(t, client(t, o, "control", false), request(t, "PUT", base+"/value?name=v", "stored"))
		if _, b := do(t, client(t, o, "tls", true), request(t, "GET", "https://api.test/value?value=v", "")); string(b) != "stored" {
			t.Errorf("value: %q", b)
		}
		_, b = do(t, client(t, o, "control", false), request(t, "GET", base+"/stats", ""))
		if !bytes.Contains(b, []byte(`"requests":2`)) {
			t.Errorf("stats: %s", b)
		}
	})
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	o := start(t)
	t.Run("the good listener verifies under each of its names", func(t *testing.T) {
		t.Parallel()
		for _, host := range []string{"api.test", "other.test", "a.wild.test"} {
			if resp, _ := do(t, client(t, o, "tls", true), request(t, "GET", "https://"+host+"/", "")); resp.StatusCode != 200 {
				t.Errorf("%s: %d", host, resp.StatusCode)
			}
		}
	})
	for listener, want := range map[string]string{
		"wrong-name": "not api.test", "self-signed": "unknown authority", "untrusted": "unknown authority", "expired": "expired", "old-tls": "protocol version",
	} {
		t.Run("the listener "+listener+" is refused", func(t *testing.T) {
			t.Parallel()
			_, err := client(t, o, listener, true).Do(request(t, "GET", "https://api.test/", ""))
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %q", err, want)
			}
		})
	}
	t.Run("a name without a certificate is refused", func(t *testing.T) {
		t.Parallel()
		for _, host := range []string{"nobody.test", "wild.test", "a.b.wild.test"} {
			if _, err := client(t, o, "tls", true).Do(request(t, "GET", "https://"+host+"/", "")); err == nil {
				t.Errorf("%s verified", host)
			}
		}
	})
}
