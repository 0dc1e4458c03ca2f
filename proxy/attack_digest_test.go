package proxy_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"kz/proxy"
	"kz/proxy/policy"
)

func TestDigestsOfWhatWasChangedGoFromHeadAndTrailers(t *testing.T) {
	t.Parallel()
	for _, coding := range []string{"", "gzip"} {
		for _, h2 := range []bool{false, true} {
			for _, known := range []bool{true, false} {
				for _, hit := range []bool{true, false} {
					t.Run(fmt.Sprintf("coding %q, h2 %v, length known %v, a value in it %v", coding, h2, known, hit), func(t *testing.T) {
						text := "text of an answer"
						if hit {
							text += keyValue
						}
						raw := coded(t, coding, text)
						b := newBed(t, answering(func(w http.ResponseWriter, _ *http.Request) {
							h := w.Header()
							h.Set("Content-Digest", "sha-256=:abc:")
							h.Set("Trailer", "Repr-Digest, X-Other")
							if coding != "" {
								h.Set("Content-Encoding", coding)
							}
							if known {
								h.Set("Content-Length", fmt.Sprint(len(raw)))
							}
							_, _ = io.WriteString(w, raw)
							h.Set("Repr-Digest", "sha-256=:def:")
							h.Set("X-Other", "kept")
							h.Set(http.TrailerPrefix+"Content-Md5", "xyz")
						}))
						b.client = b.newClient(h2)
						a := b.do(b.request("GET", "https://api.test/", ""))
						changed, trailers := hit || coding != "", h2 || !known
						if got := a.Header.Get("Content-Digest"); changed && got != "" || !changed && known && !h2 && got == "" {
							t.Errorf("Content-Digest: %q", got)
						}
						for _, name := range []string{"Repr-Digest", "Content-Md5"} {
							if got := a.Trailer.Get(name); (got != "") != (trailers && !changed) {
								t.Errorf("the trailer %s: %q", name, got)
							}
						}
						if got := a.Trailer.Get("X-Other"); (got != "") != trailers {
							t.Errorf("the trailer X-Other: %q", got)
						}
					})
				}
			}
		}
	}
}

func TestADigestOfABodyThatIsNotSentGoes(t *testing.T) {
	t.Parallel()
	for _, coding := range []string{"", "gzip"} {
		b := newBed(t, answering(func(w http.ResponseWriter, r *http.Request) {
			if coding != "" {
				w.Header().Set("Content-Encoding", coding)
			}
			w.Header().Set("Content-Digest", "sha-256=:abc:")
			w.Header().Set("Content-Md5", "abc")
			if w.Header().Set("Etag", "e"); r.Method == "GET" {
				w.WriteHeader(304)
				return
			}
			w.Header().Set("Content-Length", "100")
		}))
		for _, method := range []string{"HEAD", "GET"} {
			a := b.do(b.request(method, "https://api.test/", ""))
			if a.Header.Get("Content-Digest")+a.Header.Get("Content-Md5")+a.Header.Get("Content-Encoding") != "" || a.Header.Get("Etag") != "e" || a.StatusCode/100 == 5 {
				t.Error(method, coding, a.StatusCode, a.Header)
			}
		}
	}
}

func TestCompressedMessagesAreReadOrRefused(t *testing.T) {
	t.Parallel()
	filler := strings.Repeat(`{"key": "a value of some kind, really", "other": "a key"}`, 20)
	for _, h2 := range []bool{false, true} {
		for name, c := range map[string]struct {
			status int
			types  []string
			want   int
		}{
			"asked for":                          {200, []string{"application/grpc"}, 200},
			"asked for twice":                    {200, []string{"application/grpc", "application/grpc"}, 200},
			"asked for beside another type":      {200, []string{"text/plain", "application/grpc"}, 200},
			"not asked for":                      {200, []string{"application/json"}, 502},
			"of a status that messages have not": {500, []string{"application/grpc"}, 502},
		} {
			t.Run(fmt.Sprintf("%s, h2 %v", name, h2), func(t *testing.T) {
				z := coded(t, "gzip", filler+keyValue+filler)
				b := newBed(t, answering(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "application/grpc")
					w.Header().Set("Grpc-Encoding", "gzip")
					w.WriteHeader(c.status)
					_, _ = w.Write(binary.BigEndian.AppendUint32([]byte{1}, uint32(len(z))))
					_, _ = io.WriteString(w, z)
				}))
				b.client = b.newClient(h2)
				r := b.request("POST", "https://api.test/", "x", "Authorization: Bearer "+b.mask("KEY"))
				r.Header["Content-Type"] = c.types
				a := b.do(r)
				if a.StatusCode != c.want || strings.Contains(a.body, z[20:]) {
					t.Errorf("%d: %q", a.StatusCode, a.body)
				}
				if c.want == 200 && !strings.Contains(a.body, filler+b.mask("KEY")[:len(keyValue)]) {
					t.Errorf("%q", a.body)
				}
			})
		}
	}
}

func TestALineBreakIsDroppedOnlyWhereTheScrubberLeavesItAside(t *testing.T) {
	t.Parallel()
	for end, status := range map[string]int{"\n": 200, "\r\n": 200, "\r": 403, "\n\r": 403, "\n\n": 403} {
		for _, header := range []string{"Bearer ", "Basic "} {
			b := newBed(t, func(b *bed, _ *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
				b.values.Store("KEY", keyValue+end)
			})
			credentials := b.mask("KEY")
			if header == "Basic " {
				credentials = basic("user", credentials)
			}
			if a := b.do(b.request("GET", "https://api.test/", "", "Authorization: "+header+credentials)); a.StatusCode != status {
				t.Errorf("%s%q: %d", header, end, a.StatusCode)
			}
		}
	}
}
