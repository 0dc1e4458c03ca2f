package proxy_test

import (
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"kz/proxy"
)

// What stands beside a value is the client's choice: where a guess of the value compresses better than another, the length of
// what is sent tells which one it was, to whoever learns that length.
func TestTheLengthOfACodedBodyTellsNothingOfItsValue(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	guesses := []string{keyValue, keyValue[:12] + "xxxxxxxxx", "xxxxxxxxxxxxxxxxxxxxx", "qwertyuiopasdfghjklzx"}
	for _, coding := range []string{"gzip", "deflate", "br", "zstd", "gzip, br", "zstd, gzip"} {
		var lengths []int
		for _, guess := range guesses {
			text := `{"x":"` + strings.Repeat(guess+" ", 5) + `","token":"` + b.mask("KEY") + `"}`
			body := text
			for _, name := range strings.Split(coding, ", ") {
				body = coded(t, name, body)
			}
			if a := b.do(b.request("POST", "https://api.test/", body, "Content-Type: application/json", "Content-Encoding: "+coding)); a.StatusCode != 200 {
				t.Fatalf("%s: %s", coding, a.body)
			}
			got := b.upstreamGot().body
			lengths = append(lengths, len(got))
			names := strings.Split(coding, ", ")
			for i := len(names) - 1; i >= 0; i-- {
				got = uncoded(t, names[i], got)
			}
			if want := strings.Replace(text, b.mask("KEY"), keyValue, 1); got != want {
				t.Errorf("%s: the upstream received %q, want %q", coding, got, want)
			}
		}
		if fmt.Sprint(lengths) != fmt.Sprint([]int{lengths[0], lengths[0], lengths[0], lengths[0]}) {
			t.Errorf("%s: lengths %v", coding, lengths)
		}
	}
}

func TestWhatIsStoredIsReadByEveryDecoder(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for _, coding := range []string{"gzip", "deflate", "br", "zstd"} {
		for _, n := range []int{0, 1, 100, 65534, 65535, 65536, 200_000} {
			p := make([]byte, n)
			for i := range p {
				p[i] = byte(r.Uint32())
			}
			for how, cut := range map[string]func(io.Reader) io.Reader{"at once": func(r io.Reader) io.Reader { return r }, "in halves": iotest.HalfReader, "in bytes": iotest.OneByteReader} {
				if how == "in bytes" && n > 1000 {
					continue
				}
				b, err := io.ReadAll(proxy.Encode(cut(strings.NewReader(string(p))), coding))
				if err != nil {
					t.Fatal(err)
				}
				if got := uncoded(t, coding, string(b)); got != string(p) {
					t.Errorf("%s of %d bytes, %s: %d bytes came back", coding, n, how, len(got))
				}
				if max := n + n/100 + 40; how == "at once" && len(b) > max {
					t.Errorf("%s of %d bytes takes %d", coding, n, len(b))
				}
			}
		}
	}
}

// uncoded undoes a coding with another decoder than kz's, where there is one.
func uncoded(t *testing.T, coding, body string) string {
	t.Helper()
	var r io.Reader
	var err error
	switch src := strings.NewReader(body); coding {
	case "gzip":
		r, err = gzip.NewReader(src)
	case "deflate":
		r, err = zlib.NewReader(src)
	case "br":
		r = brotli.NewReader(src)
	case "zstd":
		r, err = zstd.NewReader(src)
	}
	if err != nil {
		t.Fatal(coding, err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(coding, err)
	}
	return string(b)
}
