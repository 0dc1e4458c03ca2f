package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"kz/proxy"
	"kz/proxy/policy"
)

func TestRangesOfEveryShapePassWhereTheyAreAllowed(t *testing.T) {
	t.Parallel()
	content := noiseText(2 << 20)
	whole := map[string]string{"Accept-Ranges": "bytes", "Etag": `"e"`, "Content-Type": "application/zip"}
	cases := map[string]struct {
		method string
		ask    []string
		status int
		body   string
		head   map[string]string
	}{
		"the first bytes":             {"GET", []string{"Range: bytes=0-99"}, 206, content[:100], map[string]string{"Content-Range": "bytes 0-99/2097152", "Content-Length": "100"}},
		"some in the middle":          {"GET", []string{"Range: bytes=1000000-1000999"}, 206, content[1000000:1001000], map[string]string{"Content-Range": "bytes 1000000-1000999/2097152"}},
		"the rest of a download":      {"GET", []string{"Range: bytes=500000-", `If-Range: "e"`}, 206, content[500000:], map[string]string{"Content-Length": fmt.Sprint(len(content) - 500000)}},
		"the last ones":               {"GET", []string{"Range: bytes=-10"}, 206, content[len(content)-10:], nil},
		"a part that codings fit not": {"GET", []string{"Range: bytes=5-9", "Accept-Encoding: gzip, br"}, 206, content[5:10], nil},
		"the whole in a coding":       {"GET", []string{"Accept-Encoding: gzip"}, 200, content, nil},
		"of another version":          {"GET", []string{"Range: bytes=5-9", `If-Range: "old"`}, 200, content, nil},
		"none there":                  {"GET", []string{"Range: bytes=9999999-"}, 416, "invalid range: failed to overlap\n", map[string]string{"Content-Range": "bytes */2097152", "Content-Type": "text/plain; charset=utf-8", "Etag": "", "Accept-Ranges": ""}},
		"the head of a part":          {"HEAD", []string{"Range: bytes=0-99"}, 206, "", map[string]string{"Content-Length": "100", "Content-Range": "bytes 0-99/2097152"}},
	}
	for _, allowed := range []bool{true, false} {
		for _, h2 := range []bool{false, true} {
			b := newBed(t, answering(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Etag", `"e"`)
				w.Header().Set("Content-Type", "application/zip")
				if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
					// Parts of it would be of the coding.
					w.Header().Set("Content-Encoding", "gzip")
					w.Header().Set("Accept-Ranges", "bytes")
					http.ServeContent(w, r, "x", time.Time{}, strings.NewReader(coded(t, "gzip", content)))
					return
				}
				http.ServeContent(w, r, "x", time.Time{}, strings.NewReader(content))
			}), func(_ *bed, _ *proxy.Options, s *[]policy.Secret, _ *policy.Egress) { (*s)[0].Ranges = allowed })
			b.client = b.newClient(h2)
			for name, c := range cases {
				t.Run(fmt.Sprintf("%s, allowed %v, HTTP/2 %v", name, allowed, h2), func(t *testing.T) {
					resp, err := b.client.Do(b.request(c.method, "https://api.test/", "", append(c.ask, "Authorization: Bearer "+b.mask("KEY"))...))
					if err != nil {
						t.Fatal(err)
					}
					defer resp.Body.Close()
					body, err := io.ReadAll(resp.Body)
					if err != nil {
						t.Fatal(err)
					}
					status, want := c.status, c.body
					if !allowed {
						if status = 200; c.method != "HEAD" {
							want = content
						}
					}
					if resp.StatusCode != status || string(body) != want {
						t.Errorf("%d, and %d bytes, want %d and %d: %.99q", resp.StatusCode, len(body), status, len(want), body)
					}
					if (resp.Header.Get("Content-Range") != "") != (status == 206 || status == 416) {
						t.Errorf("%v", resp.Header)
					}
					for name, value := range whole {
						if v, other := c.head[name]; other && allowed {
							value = v
						}
						if got := resp.Header.Get(name); got != value {
							t.Errorf("%s: %q, want %q", name, got, value)
						}
					}
					for name, value := range c.head {
						if got := resp.Header.Get(name); allowed && got != value {
							t.Errorf("%s: %q, want %q", name, got, value)
						}
					}
				})
			}
		}
	}
}

func TestPartsOfAnAnswerPassAsTheyAreWhereTheyAreAllowed(t *testing.T) {
	t.Parallel()
	content := noiseText(5000)
	b := newBed(t, answering(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "x.bin", time.Time{}, strings.NewReader(content))
	}), func(_ *bed, _ *proxy.Options, s *[]policy.Secret, _ *policy.Egress) { (*s)[0].Ranges = true })
	for _, h2 := range []bool{false, true} {
		b.client = b.newClient(h2)
		a := b.do(b.request("GET", "https://api.test/", "", "Range: bytes=0-9,100-199,-5"))
		if a.StatusCode != 206 || !strings.HasPrefix(a.Header.Get("Content-Type"), "multipart/byteranges; boundary=") {
			t.Errorf("%d %v", a.StatusCode, a.Header)
		}
		for _, part := range []string{content[:10], content[100:200], content[len(content)-5:]} {
			if !strings.Contains(a.body, "\r\n\r\n"+part+"\r\n--") {
				t.Errorf("a part is missing in %q", a.body)
			}
		}
		if a.ContentLength != int64(len(a.body)) {
			t.Errorf("length %d of %d", a.ContentLength, len(a.body))
		}
	}
}
