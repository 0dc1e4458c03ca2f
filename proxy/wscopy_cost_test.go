package proxy

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"kz/resolver"
)

func TestAValueInTheCodeOfACloseFrameDoesNotPass(t *testing.T) {
	t.Parallel()
	p, _ := frameProxy(t)
	odd := "\x04\x10 a value that begins like a code"
	if err := p.Learn("KEY", resolver.NewSecret(odd)); err != nil {
		t.Fatal(err)
	}
	out, err := carry(p, framesOf(false, opClose, odd), 100)
	var framing *framingError
	if !errors.As(err, &framing) || len(out) > 0 {
		t.Errorf("%v: %q", err, out)
	}
}

func TestAStreamThatEndsEarlyIsNotTakenForItsEnd(t *testing.T) {
	t.Parallel()
	p, _ := frameProxy(t)
	whole := framesOf(false, opText, "hello", opText, "+a", opPing, "p", opContinuation, "b", opBinary, strings.Repeat("x", maxWhole+1))
	borders := map[int]bool{0: true, 7: true, 7 + 3 + 3 + 3: true, len(whole): true}
	for n := range whole {
		if n > 30 && n%1000 != 0 {
			continue
		}
		want := io.ErrUnexpectedEOF
		if borders[n] {
			want = io.EOF
		}
		if _, err := carry(p, whole[:n], 1<<20); err != want {
			t.Errorf("after %d bytes: %v, want %v", n, err, want)
		}
	}
	x := &exchange{p: p}
	broken := errors.New("broken")
	for _, b := range [][]byte{nil, whole[:3], whole[:12], whole[:100]} {
		if err := scrubbing(x, io.MultiReader(bytes.NewReader(b), iotest.ErrReader(broken)), io.Discard).run(); err != broken {
			t.Errorf("after %d bytes: %v", len(b), err)
		}
		if err := scrubbing(x, bytes.NewReader(whole), failing{}).run(); err != io.ErrClosedPipe {
			t.Errorf("writing failed: %v", err)
		}
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestValuesLearnedOnTheWayAreScrubbed(t *testing.T) {
	t.Parallel()
	p, x := frameProxy(t)
	const later = "rotated-value-99"
	var out bytes.Buffer
	pr, pw := io.Pipe()
	done := make(chan error)
	go func() { done <- scrubbing(x, pr, &out).run() }()
	_, _ = pw.Write(framesOf(false, opText, "before"))
	if err := p.Learn("KEY", resolver.NewSecret(later)); err != nil {
		t.Fatal(err)
	}
	_, _ = pw.Write(framesOf(false, opText, later, opText, "+"+later, opContinuation, ""))
	_ = pw.Close()
	if err := <-done; err != io.EOF || bytes.Contains(out.Bytes(), []byte(later)) {
		t.Errorf("%v: %q", err, out.Bytes())
	}
}

func TestALongMessageTakesLittleMemory(t *testing.T) {
	_, x := frameProxy(t)
	const size = 16 << 20
	head := appendFrame(nil, frameHeader{fin: true, op: opBinary, length: size})
	x.p.scrubbers() // made once for a session
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c := scrubbing(x, io.MultiReader(bytes.NewReader(head), io.LimitReader(rand.NewChaCha8([32]byte{}), size)), io.Discard)
	if err := c.run(); err != io.EOF || c.n < size {
		t.Fatal(c.n, err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes for one message", n)
	}
}

// endless gives the same bytes over and over, at most n a read.
type endless struct {
	b  []byte
	n  int
	at int
}

func (r *endless) Read(p []byte) (int, error) {
	n := copy(p[:min(len(p), r.n)], r.b[r.at:])
	r.at = (r.at + n) % len(r.b)
	return n, nil
}

// counted ends a copy after n bytes.
type counted struct{ left int }

func (c *counted) Write(p []byte) (int, error) {
	if c.left -= len(p); c.left < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

func TestASmallMessageCostsNoMemory(t *testing.T) {
	_, x := frameProxy(t)
	down, up := framesOf(false, opText, strings.Repeat("x", 200)), framesOf(true, opText, strings.Repeat("x", 200))
	for name, run := range map[string]func(){
		"down": func() { _ = scrubbing(x, &endless{b: down, n: 300}, &counted{100_000}).run() },
		"up":   func() { _ = swapping(x, &endless{b: up, n: 300}, &counted{100_000}).run() },
	} {
		if n := testing.AllocsPerRun(10, run); n > 20 {
			t.Errorf("%s: %v allocations for 500 messages", name, n)
		}
	}
}

func BenchmarkFrames(b *testing.B) {
	_, x := frameProxy(b)
	small, large := strings.Repeat("small text ", 20), strings.Repeat("a longer text ", 100_000)
	for name, c := range map[string]struct {
		text string
		up   bool
		read int
	}{
		"small, a read each": {small, false, 2 + 2 + len(small)}, "small, many a read": {small, false, 16 << 10},
		"small, up, a read each": {small, true, 2 + 2 + 4 + len(small)}, "with a value": {small + frameValue, false, 16 << 10},
		"20 kB": {large[:20_000], false, 16 << 10}, "20 kB, up": {large[:20_000], true, 16 << 10},
		"1.4 MB": {large, false, 16 << 10}, "1.4 MB, up": {large, true, 16 << 10},
	} {
		b.Run(name, func(b *testing.B) {
			frame := framesOf(c.up, opText, c.text)
			src := &endless{b: frame, n: c.read}
			left := &counted{}
			fc := scrubbing(x, src, left)
			if c.up {
				fc = swapping(x, src, left)
			}
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			left.left = b.N * len(frame)
			b.ResetTimer()
			if err := fc.run(); err != io.ErrClosedPipe {
				b.Fatal(err)
			}
		})
	}
}
