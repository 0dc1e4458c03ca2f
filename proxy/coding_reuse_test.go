package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

// encoded is p in a coding.
func encodedBy(t testing.TB, coding string, p []byte) []byte {
	t.Helper()
	e := encode(bytes.NewReader(p), []string{coding})
	defer func() { _ = e.Close() }()
	b, err := io.ReadAll(e)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCodersAreUsedAgain(t *testing.T) {
	for _, coding := range []string{"gzip", "deflate", "br", "zstd"} {
		t.Run(coding, func(t *testing.T) {
			var wg sync.WaitGroup
			for g := range 4 {
				wg.Go(func() {
					for i := range 50 {
						text := []byte(strings.Repeat(fmt.Sprintf("body %d of %d, ", i, g), 1+i*20))
						coded := encodedBy(t, coding, text)
						var src io.Reader = bytes.NewReader(coded)
						cut := i%3 == 1
						if cut {
							src = io.MultiReader(bytes.NewReader(coded[:len(coded)/2]), iotest.ErrReader(errCut))
						}
						d := decode(src, []string{coding})
						got, err := io.ReadAll(d)
						_ = d.Close()
						switch {
						case cut && !errors.Is(err, errCut):
							t.Errorf("a body that was cut ended with %v", err)
						case cut && !bytes.HasPrefix(text, got):
							t.Error("a body that was cut gave bytes of another")
						case !cut && (err != nil || !bytes.Equal(got, text)):
							t.Errorf("body %d of %d came back as %d bytes, %v", i, g, len(got), err)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestADecoderThatIsClosedIsNotRead(t *testing.T) {
	d := decode(bytes.NewReader(encodedBy(t, "gzip", []byte("text"))), []string{"gzip"})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := d.Read(make([]byte, 10)); n != 0 || err == nil || err == io.EOF {
		t.Errorf("read %d, %v", n, err)
	}
}

func TestClosingADecoderDoesNotWaitForARead(t *testing.T) {
	r, w := io.Pipe()
	d := decode(r, []string{"gzip"})
	done := make(chan error, 1)
	go func() {
		_, err := d.Read(make([]byte, 10))
		done <- err
	}()
	if _, err := w.Write(encodedBy(t, "gzip", []byte("text"))[:5]); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil { // as a transport does, beside the read
		t.Fatal(err)
	}
	_ = w.CloseWithError(errCut)
	if err := <-done; !errors.Is(err, errCut) {
		t.Errorf("the read ended with %v", err)
	}
}

func BenchmarkDecode(b *testing.B) {
	text := []byte(strings.Repeat(`{"id":1,"name":"some text that repeats"},`, 100))
	for _, coding := range []string{"gzip", "br", "zstd"} {
		coded := encodedBy(b, coding, text)
		b.Run(coding, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				d := decode(bytes.NewReader(coded), []string{coding})
				if n, err := io.Copy(io.Discard, d); n != int64(len(text)) || err != nil {
					b.Fatal(n, err)
				}
				_ = d.Close()
			}
		})
	}
}
