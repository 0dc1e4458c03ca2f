package masking

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestScrubberReaderEqualsBytes(t *testing.T) {
	t.Parallel()
	values := []string{"sk-proj-AbC123_xyz-789", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "line-one\nline-two"}
	s := newScrubber(t, values...)
	var input []byte
	for _, v := range values {
		for _, encode := range encoders {
			input = fmt.Appendf(input, "data: %s, %s\n\n", encode(v), encode(v)[:len(v)/2])
		}
	}
	hits := 0
	want := s.Bytes(input, func(string) { hits++ })
	for _, mode := range []Mode{Restore, Fill} {
		for _, cut := range []int{1, 2, 3, 7, 41, 1000, 1 << 20} {
			streamed := 0
			got, err := io.ReadAll(s.Reader(&cutter{data: input, cuts: []int{cut}, err: io.EOF}, mode, func(string) { streamed++ }))
			if err != nil || streamed != hits || hits == 0 {
				t.Fatalf("in reads of %d: %d hits, not %d; %v", cut, streamed, hits, err)
			}
			if mode == Restore && !bytes.Equal(got, want) {
				t.Fatalf("in reads of %d: got %q, want %q", cut, got, want)
			}
			if mode == Fill && (len(got) != len(input) || bytes.Equal(got, input)) {
				t.Fatalf("in reads of %d: %d bytes for %d", cut, len(got), len(input))
			}
			if name, ok := s.Find(got); ok {
				t.Fatalf("%s stays", name)
			}
		}
	}
}

func TestScrubberFills(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long-value", 6)
	for _, c := range []struct{ name, value, want string }{
		{"a shorter value with the beginning of the mask", "12345678", "kz_maske"},
		{"a longer value with the mask and underscores", long, testMask + strings.Repeat("_", 60-Len)},
		{"a value as long as the mask with the mask", strings.Repeat("1234567", 6), testMask},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newScrubber(t, c.value)
			for name, encode := range encoders {
				text := encode(c.value)
				got, err := io.ReadAll(s.Reader(strings.NewReader("["+text+"]"), Fill, nil))
				if err != nil || len(got) != len(text)+2 || !strings.HasPrefix(string(got), "["+testMask[:min(len(text), Len)]) {
					t.Errorf("%s: got %q for %q, %v", name, got, text, err)
				}
				if name == "as it is" && string(got) != "["+c.want+"]" {
					t.Errorf("got %q, want %q", got, c.want)
				}
			}
		})
	}
}

func TestScrubberLeavesTheRestAlone(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, "secret-value")
	p := []byte("nothing of interest")
	if got := s.Bytes(p, nil); &got[0] != &p[0] || len(got) != len(p) {
		t.Error("Bytes copies what has no hit")
	}
	p = []byte("a secret-value")
	s.Bytes(p, nil)
	if string(p) != "a secret-value" {
		t.Errorf("Bytes changed its input to %q", p)
	}
	if !newScrubber(t).Empty() || s.Empty() {
		t.Error("Empty")
	}
	if got := newScrubber(t).String("secret-value", nil); got != "secret-value" {
		t.Error(got)
	}
	if got := s.Bytes(nil, nil); got != nil {
		t.Error(got)
	}
}

func TestScrubberDoesNotRescan(t *testing.T) {
	t.Parallel()
	s, err := NewScrubber([]Value{{"A", "secret-value", []byte("secret-value")}, {"B", "B", []byte("value-secret")}})
	if err != nil {
		t.Fatal(err)
	}
	const input = "secret-value-secret-value"
	if got := s.String(input, nil); got != input {
		t.Fatal(got)
	}
	got, err := io.ReadAll(s.Reader(&cutter{data: []byte(input), cuts: []int{1}, err: io.EOF}, Restore, nil))
	if string(got) != input || err != nil {
		t.Fatalf("%q %v", got, err)
	}
}

func TestScrubberAllocatesNothing(t *testing.T) {
	s := newScrubber(t, "sk-proj-AbC123_xyz-789", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
	body := jsonLike(50_000)
	header := "max-age=3600, public, and something more to make it longer"
	hit := append(slices.Clone(body), "sk-proj-AbC123_xyz-789"...)
	if n := testing.AllocsPerRun(20, func() {
		s.Find(body)
		s.Find(hit)
		s.Bytes(body, nil)
		s.String(header, nil)
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func TestStreamAllocatesNothingButItself(t *testing.T) {
	const value = "sk-proj-AbC123_xyz-789"
	s, table := newScrubber(t, value), newTable(t, Entry{Name: "A"})
	short, long := jsonLike(1000), jsonLike(1<<20)
	hits := slices.Concat(long, []byte(value), long, []byte(table.Token("A")), long)
	put := []byte(value)
	src := bytes.NewReader(nil)
	for name, wrap := range map[string]func(r io.Reader) io.Reader{
		"Scrubber.Reader": func(r io.Reader) io.Reader { return s.Reader(r, Restore, nil) },
		"one that fills":  func(r io.Reader) io.Reader { return s.Reader(r, Fill, nil) },
		"Follow":          func(r io.Reader) io.Reader { return Follow(r, Fill, Evenly, func() *Scrubber { return s }, nil) },
		"Table.Reader":    func(r io.Reader) io.Reader { return table.Reader(r, func(string) ([]byte, bool) { return put, true }) },
		"Table.Scan":      func(r io.Reader) io.Reader { return table.Scan(r, func(string) {}) },
	} {
		measure := func(body []byte) float64 {
			return testing.AllocsPerRun(10, func() {
				src.Reset(body)
				if _, err := wrap(struct{ io.Reader }{src}).(io.WriterTo).WriteTo(io.Discard); err != nil {
					t.Fatal(err)
				}
			})
		}
		if n := measure(short); n > 8 {
			t.Errorf("%s: %v allocations for a stream", name, n)
		} else if more := measure(long); more > n+2 { // buffers that the pool has lost meanwhile
			t.Errorf("%s: %v allocations for a short body, %v for a long one", name, n, more)
		} else if more := measure(hits); more > n+2 {
			t.Errorf("%s: %v allocations for a short body, %v for one with hits", name, n, more)
		}
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	s, table := newScrubber(t, "sk-proj-AbC123_xyz-789"), newTable(t, Entry{Name: "A"})
	event := append(jsonLike(200), "\n\n"...)
	src := readerFunc(func(p []byte) (int, error) { return copy(p, event), nil })
	p := make([]byte, len(event))
	for name, r := range map[string]io.Reader{
		"Scrubber.Reader": s.Reader(src, Restore, nil),
		"Follow":          Follow(src, Restore, Evenly, func() *Scrubber { return s }, nil),
		"Table.Reader":    table.Reader(src, func(string) ([]byte, bool) { return nil, false }),
		"Table.Scan":      table.Scan(src, func(string) {}),
	} {
		if n := testing.AllocsPerRun(100, func() {
			if n, err := r.Read(p); n != len(event) || err != nil {
				t.Fatal(n, err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations for a read", name, n)
		}
	}
}

func TestAValueCutShortIsNotGivenOut(t *testing.T) {
	t.Parallel()
	s, err := NewScrubber([]Value{{Name: "KEY", Mask: "kz_masked_", Bytes: []byte("a-secret-value")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		err  error
		want string
	}{{io.ErrUnexpectedEOF, "it is "}, {io.EOF, "it is a-secret-val"}} {
		got, err := io.ReadAll(s.Reader(io.MultiReader(strings.NewReader("it is a-secret-val"), iotest.ErrReader(c.err)), Restore, nil))
		if string(got) != c.want || c.err != io.EOF && err != c.err {
			t.Errorf("%v: got %q, %v", c.err, got, err)
		}
	}
}
