package fields

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

const (
	mask   = "kz_masked_0123456789abcdef0123456789abcdef"
	secret = "s\"e\\c/r&e=t +%\n\x01é\u2028<"
)

// swap is the editor of most tests: it puts secret wherever mask stands.
func swap(_ Field, v []byte) ([]byte, bool, error) {
	if !bytes.Contains(v, []byte(mask)) {
		return nil, false, nil
	}
	return bytes.ReplaceAll(v, []byte(mask), []byte(secret)), true, nil
}

func holdsMask(v []byte) bool { return bytes.Contains(v, []byte(mask)) }

func selector(t testing.TB, s Selection) *Selector {
	t.Helper()
	sel, err := NewSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	return sel
}

func options(t testing.TB, f Format, s Selection) Options {
	return Options{Format: f, Boundary: "XX", Selector: selector(t, s), Edit: swap, Marked: holdsMask}
}

func newReader(t testing.TB, r io.Reader, o Options) *Reader {
	t.Helper()
	rd, err := NewReader(r, o)
	if err != nil {
		t.Fatal(err)
	}
	return rd
}

// readAll reads in one way of many.
type readWay struct {
	name string
	read func(t testing.TB, in string, o Options) (string, error)
}

func readWays() []readWay {
	through := func(wrap func(io.Reader) io.Reader) func(testing.TB, string, Options) (string, error) {
		return func(t testing.TB, in string, o Options) (string, error) {
			out, err := io.ReadAll(newReader(t, wrap(strings.NewReader(in)), o))
			return string(out), err
		}
	}
	return []readWay{
		{"whole", through(func(r io.Reader) io.Reader { return r })},
		{"one byte", through(iotest.OneByteReader)},
		{"half", through(iotest.HalfReader)},
		{"data with error", through(iotest.DataErrReader)},
		{"one byte, data with error", through(func(r io.Reader) io.Reader { return iotest.DataErrReader(iotest.OneByteReader(r)) })},
		{"three bytes", through(func(r io.Reader) io.Reader { return &chunkReader{r: r, sizes: []int{3}} })},
		{"many sizes", through(func(r io.Reader) io.Reader { return &chunkReader{r: r, sizes: []int{1, 7, 2, 41, 13}} })},
		{"one byte out", func(t testing.TB, in string, o Options) (string, error) {
			out, err := io.ReadAll(iotest.OneByteReader(newReader(t, strings.NewReader(in), o)))
			return string(out), err
		}},
		{"WriteTo", func(t testing.TB, in string, o Options) (string, error) {
			var out bytes.Buffer
			n, err := newReader(t, strings.NewReader(in), o).WriteTo(&out)
			if n != int64(out.Len()) {
				t.Errorf("WriteTo returned %d for %d bytes", n, out.Len())
			}
			return out.String(), err
		}},
		{"WriteTo, one byte", func(t testing.TB, in string, o Options) (string, error) {
			var out bytes.Buffer
			_, err := newReader(t, iotest.OneByteReader(strings.NewReader(in)), o).WriteTo(&out)
			return out.String(), err
		}},
	}
}

// chunkReader reads in pieces of the given sizes, over and over.
type chunkReader struct {
	r     io.Reader
	sizes []int
	i     int
}

func (c *chunkReader) Read(p []byte) (int, error) {
	n := min(c.sizes[c.i%len(c.sizes)], len(p))
	c.i++
	return c.r.Read(p[:n])
}

// expect reads in every way, and wants want and no error.
func expect(t *testing.T, in, want string, o Options) {
	t.Helper()
	for _, way := range readWays() {
		got, err := way.read(t, in, o)
		if err != nil {
			t.Errorf("%s: error %v", way.name, err)
		}
		if got != want {
			t.Errorf("%s:\n in   %q\n got  %q\n want %q", way.name, clip(in), clip(got), clip(want))
		}
	}
}

// expectAmbiguous reads in every way, and wants the bytes of before and then
// the ambiguity of the place.
func expectAmbiguous(t *testing.T, in, before string, place Field, o Options) {
	t.Helper()
	for _, way := range readWays() {
		got, err := way.read(t, in, o)
		var ambiguous *AmbiguousError
		if !errors.As(err, &ambiguous) || !errors.Is(err, ErrAmbiguous) {
			t.Errorf("%s: error %v, want ambiguous; read %q", way.name, err, clip(got))
			continue
		}
		if ambiguous.Field != place {
			t.Errorf("%s: ambiguous %+v, want %+v", way.name, ambiguous.Field, place)
		}
		if got != before {
			t.Errorf("%s: before the error\n got  %q\n want %q", way.name, clip(got), clip(before))
		}
	}
}

func clip(s string) string {
	if len(s) <= 600 {
		return s
	}
	return s[:300] + " … " + s[len(s)-300:]
}

// offered returns what an editor is offered in in.
func offered(t *testing.T, in string, o Options) (fields []Field, values []string) {
	t.Helper()
	o.Edit = func(f Field, v []byte) ([]byte, bool, error) {
		fields = append(fields, f)
		values = append(values, string(v))
		return nil, false, nil
	}
	out, err := io.ReadAll(newReader(t, strings.NewReader(in), o))
	if err != nil || string(out) != in {
		t.Errorf("reading %q: %q, %v", clip(in), clip(string(out)), err)
	}
	return fields, values
}
