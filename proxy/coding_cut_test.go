package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/andybalholm/brotli"
)

func TestACodingIsReadHoweverItsEndIsCut(t *testing.T) {
	t.Parallel()
	p, _ := frameProxy(t)
	for _, coding := range []string{"gzip", "deflate", "br", "zstd"} {
		t.Run(coding, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(1, 1))
			for size := 1; size < 2000; size += 13 {
				text := make([]byte, size)
				for i := range text {
					text[i] = "ab cdefgh\n"[min(r.IntN(10), r.IntN(10))]
				}
				coded := encodedBy(t, coding, text)
				if coding == "br" {
					var b bytes.Buffer
					w := brotli.NewWriterLevel(&b, r.IntN(12))
					_, _ = w.Write(text)
					_ = w.Close()
					coded = b.Bytes()
				}
				for alone := range min(6, len(coded)) {
					for _, behind := range []string{"", "x"} {
						all := append(bytes.Clone(coded), behind...)
						n := len(all) - alone
						d := decode(io.MultiReader(bytes.NewReader(all[:n]), iotest.OneByteReader(bytes.NewReader(all[n:]))), []string{coding})
						got, err := io.ReadAll(d)
						_ = d.Close()
						if !bytes.HasPrefix(text, got) || behind == "" && (err != nil || len(got) != len(text)) || behind != "" && err == nil {
							t.Fatal(fmt.Sprintf("%d bytes, the last %d one by one, %q behind: %d bytes,", size, alone, behind, len(got)), err)
						}
					}
				}
				behind := p.decodeAnswer(bytes.NewReader(append(bytes.Clone(coded), "behind"...)), []string{coding}, true)
				behind.padded = true
				if got, err := io.ReadAll(behind); (err == nil) != (coding == "gzip") || err == nil && !bytes.Equal(got, text) {
					t.Fatal(fmt.Sprintf("%d bytes, with some behind them: %d bytes,", size, len(got)), err)
				}
				d := decode(iotest.OneByteReader(bytes.NewReader(coded[:len(coded)-1])), []string{coding})
				if _, err := io.ReadAll(d); !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatal(fmt.Sprintf("%d bytes, without the last one:", size), err)
				}
			}
		})
	}
}
