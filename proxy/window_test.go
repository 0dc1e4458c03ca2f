package proxy

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// asked gives b, and notes how much it is asked for.
type asked struct {
	b     []byte
	sizes []int
}

func (r *asked) Read(p []byte) (int, error) {
	r.sizes = append(r.sizes, len(p))
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b)
	r.b = r.b[n:]
	return n, nil
}

func TestAWindowIsLargeOnlyWhileMuchComes(t *testing.T) {
	t.Parallel()
	src := &asked{b: make([]byte, smallWindow)}
	w := newWindow(src)
	fill := func(want int) {
		t.Helper()
		if err := w.fill(want); err != nil {
			t.Fatal(err)
		}
	}
	fill(1)
	w.r = w.w
	src.b = make([]byte, 10_000)
	fill(1) // the first read left no room
	w.r = w.w
	src.b = make([]byte, 100)
	fill(1)
	src.b = make([]byte, 10)
	fill(maxWhole) // with 100 bytes to keep
	w.r += 50
	if len(w.buffered()) != 60 {
		t.Errorf("%d bytes are left", len(w.buffered()))
	}
	if n, err := w.read(make([]byte, 100)); n != 60 || err != nil {
		t.Error(n, err)
	}
	src.b = make([]byte, 10)
	if n, err := w.read(make([]byte, 5)); n != 5 || err != nil || len(w.buf) != smallWindow {
		t.Error(n, err, len(w.buf))
	}
	fill(1)
	want := []int{smallWindow, largeWindow, smallWindow, largeWindow - 100, 5, smallWindow}
	for i, n := range want {
		if src.sizes[i] != n {
			t.Fatalf("asked for %v bytes, want %v", src.sizes, want)
		}
	}
}

func TestBytesThatComeWithTheEndCount(t *testing.T) {
	t.Parallel()
	_, x := frameProxy(t)
	b := framesOf(false, opText, "hello", opBinary, strings.Repeat("~", maxWhole+1))
	var out bytes.Buffer
	err := scrubbing(x, iotest.DataErrReader(bytes.NewReader(b)), &out).run()
	in, _ := events(b, false)
	got, _ := events(out.Bytes(), false)
	if err != io.EOF {
		t.Error(err)
	}
	sameEvents(t, got, in)
	m := envelopesOf("\x00hello", "\x00"+strings.Repeat("~", maxWhole+1))
	out.Reset()
	if _, err := enveloping(x, iotest.DataErrReader(bytes.NewReader(m))).WriteTo(&out); err != nil || !bytes.Equal(out.Bytes(), m) {
		t.Errorf("%d bytes, %v, want %d", out.Len(), err, len(m))
	}
}
