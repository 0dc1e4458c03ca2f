package proxy

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/gzip"

	"kz/masking/fields"
)

func TestAMessageThatHasGoneHoldsNothing(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 2<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	var coded bytes.Buffer
	w := gzip.NewWriter(&coded)
	_, _ = w.Write(noise)
	_ = w.Close()
	body := binary.BigEndian.AppendUint32([]byte{flagCompressed}, uint32(coded.Len()))
	body = append(body, coded.Bytes()...)
	held := int64(0)
	u := newUnfolded(bytes.NewReader(append(body, body...)), []string{"gzip"}, new(Proxy), func(string) {})
	u.take, u.done = func(n int64) bool { held += n; return true }, func() { held = 0 }
	first := int64(len(body))
	if n, err := io.CopyN(io.Discard, u, first); err != nil || held < first {
		t.Fatalf("with one message %d bytes are held: %d, %v", held, n, err)
	}
	if n, err := io.Copy(io.Discard, u); n != first || err != nil || held != 0 {
		t.Errorf("in the end %d bytes are held: %d, %v", held, n, err)
	}
}

func TestWhatIsSaidOfOneBodyIsBounded(t *testing.T) {
	t.Parallel()
	b := &requestBody{}
	for range 10 * maxNotes {
		b.long(fields.Field{Name: "token"})
	}
	if len(b.notes) > maxNotes {
		t.Errorf("%d notes", len(b.notes))
	}
}
