package proxy_test

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

func TestBinaryMetadataStaysWhatItIs(t *testing.T) {
	t.Parallel()
	std, raw := base64.StdEncoding, base64.RawStdEncoding
	for n := range 6 {
		before := "\x00\xff\x80\x01\x02\x03"[:n]
		value := before + keyValue + before
		b := newBed(t, answering(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Padded-Bin", std.EncodeToString([]byte(value)))
			w.Header().Set("X-Raw-Bin", raw.EncodeToString([]byte(value)))
			w.Header().Set("X-Two-Bin", raw.EncodeToString([]byte("clean"))+", "+raw.EncodeToString([]byte(value)))
			w.Header().Set("X-Plain-Bin", "not in base64: "+keyValue)
			w.Header().Set("X-Clean-Bin", "AAEC , AAEC")
		}))
		a := b.do(b.request("GET", "https://api.test/", ""))
		filled := before + b.mask("KEY")[:len(keyValue)] + before
		for name, want := range map[string]string{
			"X-Padded-Bin": std.EncodeToString([]byte(filled)), "X-Raw-Bin": raw.EncodeToString([]byte(filled)),
			"X-Two-Bin":   raw.EncodeToString([]byte("clean")) + "," + raw.EncodeToString([]byte(filled)),
			"X-Plain-Bin": "not in base64: " + b.mask("KEY"), "X-Clean-Bin": "AAEC , AAEC",
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%d bytes before it: %s is %q, want %q", n, name, got, want)
			}
		}
	}
}

func TestABodyThatIsOneMessageKeepsItsLength(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"application/proto", "application/x-protobuf", "application/protobuf; charset=x"} {
		for _, coding := range []string{"", "gzip"} {
			for _, known := range []bool{true, false} {
				message := "\x0a" + string(rune(len(keyValue)+2)) + "m " + keyValue
				body := coded(t, coding, message)
				b := newBed(t, answering(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", kind)
					if coding != "" {
						w.Header().Set("Content-Encoding", coding)
					}
					if known {
						w.Header().Set("Content-Length", strconv.Itoa(len(body)))
					} else {
						w.(http.Flusher).Flush()
					}
					_, _ = w.Write([]byte(body))
				}))
				r := b.request("POST", "https://api.test/", "x")
				r.Header.Set("Accept-Encoding", "gzip")
				a := b.do(r)
				if want := strings.ReplaceAll(message, keyValue, b.mask("KEY")[:len(keyValue)]); a.body != want {
					t.Errorf("%s, %q, known %v: got %q, want %q", kind, coding, known, a.body, want)
				}
			}
		}
	}
}
