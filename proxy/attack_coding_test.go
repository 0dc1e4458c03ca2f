package proxy_test

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"
	"net/http"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// bitWriter writes as deflate reads: the lowest bit first.
type bitWriter struct {
	out []byte
	n   int
}

func (w *bitWriter) put(v uint, n int) {
	for i := range n {
		if w.n%8 == 0 {
			w.out = append(w.out, 0)
		}
		w.out[w.n/8] |= byte(v>>i&1) << (w.n % 8)
		w.n++
	}
}

// turning is a deflate stream around text, that may stand in it as it is: its table has a decoder give each byte with its bits
// the other way round. Whoever stores it needs to know nothing of text.
func turning(text string) string {
	var w bitWriter
	for range 2 { // empty blocks, so that text begins with a byte
		w.put(0, 1)
		w.put(1, 2)
		w.put(0, 7)
	}
	w.put(1, 1)
	w.put(2, 2)
	w.put(0, 5)  // 257 codes: all bytes and the end
	w.put(0, 5)  // one of distances
	w.put(14, 4) // 18 lengths of lengths: 8 is 0, 1 is 10, 9 is 11
	for _, symbol := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1} {
		w.put(map[int]uint{8: 1, 9: 2, 1: 2}[symbol], 3)
	}
	w.put(0, 255) // 255 bytes have codes of 8 bits: their own, the highest bit first
	w.put(3, 2)
	w.put(3, 2)
	w.put(1, 2)
	return string(w.out) + text + "\xff\x01" // the end
}

func turned(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] = bits.Reverse8(b[i])
	}
	return string(b)
}

func TestNoDecoderTurnsAValueIntoSomethingElse(t *testing.T) {
	t.Parallel()
	text := "words in front of it, " + keyValue + " and behind\n"
	r, _ := gzip.NewReader(strings.NewReader(gzipped(turning(text), "")))
	if got, _ := io.ReadAll(r); string(got) != turned(text) {
		t.Fatalf("the attack does not work: %q", got)
	}
	long := strings.Repeat(strings.Repeat("x", 4000)+"\n", 300)
	for name, c := range map[string]struct{ coding, body string }{
		"deflate":           {"deflate", turning(text)},
		"deflate, and junk": {"deflate", turning(text) + "more"},
		"gzip":              {"gzip", gzipped(turning(text), text)},
		"much":              {"deflate", turning(long + text + long)},
		"in another coding": {"deflate, br", coded(t, "br", turning(text))},
		"in a raw block":    {"deflate, zstd", rawZstd(turning(text))},
	} {
		for _, known := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, length known %v", name, known), func(t *testing.T) {
				b := newBed(t, answering(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Encoding", c.coding)
					if known {
						w.Header().Set("Content-Length", fmt.Sprint(len(c.body)))
					}
					_, _ = io.WriteString(w, c.body)
				}))
				resp, err := b.client.Do(b.request("GET", "https://api.test/", ""))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				got, _ := io.ReadAll(resp.Body)
				if back := turned(string(got)); strings.Contains(back, keyValue[:8]) || strings.Contains(back, keyValue[8:]) {
					t.Errorf("the client can read %.200q", back[strings.Index(back, keyValue[:5]):])
				}
			})
		}
	}
}

// gzipped is a deflate stream with gzip's head and sums.
func gzipped(deflated, text string) string {
	sum := func(n uint32) string { return string([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}) }
	return "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + deflated + sum(crc32.ChecksumIEEE([]byte(turned(text)))) + sum(uint32(len(text)))
}

// rawZstd is s in one block of zstd that is not compressed (RFC 8878, section 3.1.1).
func rawZstd(s string) string {
	n := len(s)<<3 | 1
	return "\x28\xb5\x2f\xfd\x00\x58" + string([]byte{byte(n), byte(n >> 8), byte(n >> 16)}) + s
}

// TestAValueThatStandsInACodingAsItIsIsScrubbed has codings that leave text as it is, as they do with what is short or cannot
// be made shorter, and with the sums that they have.
func TestAValueThatStandsInACodingAsItIsIsScrubbed(t *testing.T) {
	t.Parallel()
	text := noiseText(300) + keyValue + noiseText(200)
	stored := func(w io.WriteCloser) string {
		_, _ = io.WriteString(w, text)
		_ = w.Close()
		return ""
	}
	var gz, br, zs bytes.Buffer
	level0, _ := gzip.NewWriterLevel(&gz, gzip.NoCompression)
	stored(level0)
	stored(brotli.NewWriterLevel(&br, 0))
	z, _ := zstd.NewWriter(&zs, zstd.WithEncoderCRC(true))
	stored(z)
	for name, c := range map[string]struct{ coding, body string }{
		"gzip": {"gzip", gz.String()}, "two members": {"gzip", gz.String() + gz.String()}, "br": {"br", br.String()}, "zstd": {"zstd", zs.String()}, "two frames": {"zstd", zs.String() + zs.String()},
		"gzip in zstd": {"gzip, zstd", rawZstd(gz.String())},
	} {
		if !strings.Contains(c.body, keyValue) && !strings.Contains(name, "in") && name != "br" {
			t.Fatalf("%s: the value does not stand in it", name)
		}
		for _, known := range []bool{true, false} {
			b := newBed(t, answering(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Encoding", c.coding)
				if known {
					w.Header().Set("Content-Length", fmt.Sprint(len(c.body)))
				}
				for piece := range strings.SplitAfterSeq(c.body, keyValue[:3]) { // the value comes in two pieces
					_, _ = io.WriteString(w, piece)
					if !known {
						w.(http.Flusher).Flush()
					}
				}
			}))
			a := b.do(b.request("GET", "https://api.test/", ""))
			want := strings.ReplaceAll(text, keyValue, b.mask("KEY"))
			if strings.HasPrefix(name, "two") {
				want += want
			}
			if a.body != want {
				t.Errorf("%s, length known %v: %d bytes, want %d: %q", name, known, len(a.body), len(want), a.body)
			}
		}
	}
}
