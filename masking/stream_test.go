package masking

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// cutter gives data in reads of the lengths in cuts, over and over; 0 is a read
// of nothing. Then it gives err, with the last data if early.
type cutter struct {
	data  []byte
	cuts  []int
	n     int
	err   error
	early bool
}

func (c *cutter) Read(p []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, c.err
	}
	size := len(p)
	if len(c.cuts) > 0 {
		size = c.cuts[c.n%len(c.cuts)]
		c.n++
	}
	n := copy(p[:min(size, len(p))], c.data)
	if c.data = c.data[n:]; len(c.data) == 0 && c.early {
		return n, c.err
	}
	return n, nil
}

// naiveReplace is what a stream must equal: one pass over the whole.
func naiveReplace(texts [][]byte, p []byte, edit func(id, n int) ([]byte, bool)) []byte {
	var out []byte
	for from := 0; ; {
		start, end, id, ok := naiveNext(texts, p, from)
		if !ok {
			return append(out, p[from:]...)
		}
		put, ok := edit(id, end-start)
		if !ok {
			put = p[start:end]
		}
		out = append(append(out, p[from:start]...), put...)
		from = end
	}
}

// checkStream compares a stream with the whole-buffer reference, through Read
// with several sizes and through WriteTo.
func checkStream(t *testing.T, texts [][]byte, p []byte, cuts []int, edit func(id, n int) ([]byte, bool)) {
	t.Helper()
	f := NewFinder(texts)
	var wantIDs []int
	want := naiveReplace(texts, p, func(id, n int) ([]byte, bool) {
		wantIDs = append(wantIDs, id)
		return edit(id, n)
	})
	var ids []int
	noted := func(id, n int) ([]byte, bool) {
		ids = append(ids, id)
		return edit(id, n)
	}
	if !slices.ContainsFunc(cuts, func(n int) bool { return n > 0 }) {
		cuts = nil
	}
	over := errors.New("the end")
	for _, early := range []bool{false, true} {
		for name, read := range map[string]func(*stream) ([]byte, error){
			"Read":               func(s *stream) ([]byte, error) { return readAll(s, 4096) },
			"Read into one byte": func(s *stream) ([]byte, error) { return readAll(s, 1) },
			"WriteTo": func(s *stream) ([]byte, error) {
				var b bytes.Buffer
				n, err := s.WriteTo(&b)
				if int(n) != b.Len() {
					t.Fatalf("WriteTo counts %d bytes of %d", n, b.Len())
				}
				return b.Bytes(), err
			},
		} {
			ids = ids[:0]
			got, err := read(&stream{src: &cutter{data: p, cuts: cuts, err: over, early: early}, find: f, edit: noted})
			if !bytes.Equal(got, want) || !slices.Equal(ids, wantIDs) {
				t.Fatalf("%s: got %q %v, want %q %v\npatterns %q\ninput %q in %v", name, got, ids, want, wantIDs, texts, p, cuts)
			}
			if err != over && (len(p) > 0 || !early) {
				t.Fatalf("%s: got error %v", name, err)
			}
			ids = ids[:0]
			got, _ = read(&stream{src: &cutter{data: p, cuts: cuts, err: over, early: early}, find: f, edit: noted, through: true})
			if !bytes.Equal(got, p) || !slices.Equal(ids, wantIDs) {
				t.Fatalf("%s, through: got %q %v, want %q %v", name, got, ids, p, wantIDs)
			}
		}
	}
}

func readAll(r io.Reader, size int) (all []byte, err error) {
	p := make([]byte, size)
	for {
		n, err := r.Read(p)
		all = append(all, p[:n]...)
		if err != nil {
			return all, err
		}
	}
}

func FuzzReplaceAnyChunking(f *testing.F) {
	f.Add([]byte("secretvalue|secretvalue-and-more"), []byte("a secretvalue-and-mor secretvalue-and-more"), []byte{3, 1, 0, 7}, uint8(0))
	f.Add([]byte("aaaab|aab|aaaaaaaaaa"), []byte("aaaaaaaaabaaaaaaaaaaaaaabb"), []byte{1}, uint8(2))
	f.Add([]byte("abcabcabcabd|cab"), []byte("abcabcabcabcabdabcabcabcabc"), []byte{5, 4}, uint8(4))
	f.Fuzz(func(t *testing.T, patterns, p, sizes []byte, letters uint8) {
		if len(patterns) > 500 || len(p) > 1000 || len(sizes) > 50 {
			return
		}
		texts := bytes.Split(narrow(patterns, letters), []byte("|"))
		cuts := make([]int, len(sizes))
		for i, s := range sizes {
			cuts[i] = int(s) % 40
		}
		checkStream(t, texts, narrow(p, letters), cuts, func(id, n int) ([]byte, bool) {
			switch id % 4 {
			case 0:
				return nil, true
			case 1:
				return nil, false
			case 2:
				return texts[id], true // must not be found again
			}
			return bytes.Repeat([]byte{'#'}, n*3), true
		})
	})
}

func TestStreamEqualsWholeBuffer(t *testing.T) {
	t.Parallel()
	long := randomBytes(80_000) // longer than a buffer
	mark := func(id, _ int) ([]byte, bool) { return []byte{'<', byte('0' + id), '>'}, true }
	huge := func(int, int) ([]byte, bool) { return long, true }
	for _, c := range []struct {
		name     string
		patterns [][]byte
		input    []byte
		edit     func(id, n int) ([]byte, bool)
	}{
		{"a match at each border", split("secret-value"), bytes.Repeat([]byte("x secret-value"), 6000), mark},
		{"nothing but matches", split("secret-value"), bytes.Repeat([]byte("secret-value"), 6000), mark},
		{"what replaces is longer than a buffer", split("secret-value"), bytes.Repeat([]byte("secret-value."), 4), huge},
		{"a pattern longer than a buffer", [][]byte{append(long, '1'), long[:20]}, slices.Concat(long, []byte("1"), long, []byte("2")), mark},
		{"the shorter one counts when the longer one fails late", split("aaaabbbb|aaaabbbbccccddddeeeeffff"), []byte(strings.Repeat("aaaabbbbccccddddeeeefff.", 2000)), mark},
		{"a match within what may become a longer one", split("0aaaabbbbccccddddeeee|bbbbcccc"), []byte(strings.Repeat("0aaaabbbbccccddddeeef", 2000)), mark},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, cuts := range [][]int{nil, {1}, {7, 0, 3000}, {chunk - 1, 2}} {
				if len(c.input) > 100_000 && len(cuts) == 1 {
					continue
				}
				checkStream(t, c.patterns, c.input, cuts, c.edit)
			}
		})
	}
}

func TestStreamWithReadersOfManyKinds(t *testing.T) {
	t.Parallel()
	f := NewFinder(split("secret-value"))
	input := strings.Repeat("a secret-value, ", 5000)
	want := strings.ReplaceAll(input, "secret-value", "mask")
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"OneByteReader": iotest.OneByteReader, "HalfReader": iotest.HalfReader, "DataErrReader": iotest.DataErrReader,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &stream{src: wrap(strings.NewReader(input)), find: f, edit: func(int, int) ([]byte, bool) { return []byte("mask"), true }}
			if err := iotest.TestReader(s, []byte(want)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestStreamHandsOutWhatIsDecidedBeforeItReadsOn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, event, want string }{
		{"an event without a part of a value is not held", "data: {\"text\":\"hello\"}\n\n", "data: {\"text\":\"hello\"}\n\n"},
		{"a value at the very end is replaced at once", "data: secret-value", "data: mask"},
		{"only what may become a value is held", "data: secret-val", "data: "},
		{"what a value has put an end to is not held", "data: secret-value, mi", "data: mask, mi"},
		{"a value that may be longer is held", "data: secret-value, other-secret", "data: mask, "},
	} {
		for _, through := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				r, w := io.Pipe()
				go func() { _, _ = w.Write([]byte(c.event)) }() // and no more
				s := &stream{src: r, find: NewFinder(split("secret-value|other-secret|other-secret-2|value, mint")), through: through,
					edit: func(int, int) ([]byte, bool) { return []byte("mask"), true }}
				p := make([]byte, 1000)
				want := c.want
				if through {
					want = c.event
				}
				if n, err := s.Read(p); string(p[:n]) != want || err != nil {
					t.Fatalf("got %q, %v, want %q", p[:n], err, want)
				}
				_ = w.Close()
			})
		}
	}
}

func TestStreamPassesErrorsOn(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection reset")
	for name, read := range map[string]func(*stream) (string, error){
		"Read": func(s *stream) (string, error) { b, err := readAll(s, 100); return string(b), err },
		"WriteTo": func(s *stream) (string, error) {
			var b strings.Builder
			_, err := s.WriteTo(&b)
			return b.String(), err
		},
	} {
		for _, want := range []error{broken, io.ErrUnexpectedEOF} {
			t.Run(name+" passes "+want.Error(), func(t *testing.T) {
				t.Parallel()
				s := &stream{src: io.MultiReader(strings.NewReader("a secret-value, secret-val"), iotest.ErrReader(want)),
					find: NewFinder(split("secret-value")), edit: func(int, int) ([]byte, bool) { return []byte("mask"), true }}
				got, err := read(s)
				if got != "a mask, secret-val" || err != want {
					t.Fatalf("got %q, %v", got, err)
				}
				if n, err := s.Read(make([]byte, 10)); n != 0 || err != want {
					t.Fatalf("after the error: %d, %v", n, err)
				}
			})
		}
	}
	t.Run("a reader that makes no progress is an error", func(t *testing.T) {
		t.Parallel()
		s := &stream{src: &cutter{data: []byte("x"), cuts: []int{0}}, find: NewFinder(nil)}
		if _, err := readAll(s, 10); err != io.ErrNoProgress {
			t.Fatal(err)
		}
	})
	t.Run("a read of nothing reads nothing", func(t *testing.T) {
		t.Parallel()
		s := &stream{src: iotest.ErrReader(broken), find: NewFinder(nil)}
		if n, err := s.Read(nil); n != 0 || err != nil {
			t.Fatal(n, err)
		}
	})
	t.Run("an error of the writer ends WriteTo and loses nothing", func(t *testing.T) {
		t.Parallel()
		s := &stream{src: strings.NewReader("some text"), find: NewFinder(nil)}
		n, err := s.WriteTo(writerFunc(func(p []byte) (int, error) { return 4, broken }))
		if n != 4 || err != broken {
			t.Fatal(n, err)
		}
		if _, err := s.WriteTo(writerFunc(func(p []byte) (int, error) { return 0, nil })); err != io.ErrShortWrite {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(s); string(rest) != " text" || err != nil {
			t.Fatalf("%q, %v", rest, err)
		}
	})
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestStreamMemoryIsBounded(t *testing.T) {
	t.Parallel()
	pattern := bytes.Repeat([]byte("0123456789abcdef"), 5000)
	s := &stream{src: io.LimitReader(repeat(pattern[:len(pattern)-1]), 2<<20), find: NewFinder([][]byte{pattern})}
	p := make([]byte, 4096)
	for {
		_, err := s.Read(p)
		if size := len(s.buf) + cap(s.out); size > 4*len(pattern)+2*chunk {
			t.Fatalf("holds %d bytes for a pattern of %d", size, len(pattern))
		}
		if err != nil {
			break
		}
	}
}

// repeat is an endless reader of text.
func repeat(text []byte) io.Reader { return &repeater{text: text} }

type repeater struct {
	text []byte
	at   int
}

func (r *repeater) Read(p []byte) (n int, _ error) {
	for n < len(p) {
		k := copy(p[n:], r.text[r.at:])
		n += k
		r.at = (r.at + k) % len(r.text)
	}
	return n, nil
}

func TestStreamWipesItsBuffers(t *testing.T) {
	t.Parallel()
	s := &stream{src: strings.NewReader("a secret-value and more"), find: NewFinder(split("secret-value")),
		edit: func(int, int) ([]byte, bool) { return []byte("put-in"), true }}
	first := make([]byte, 1)
	if _, err := s.Read(first); err != nil {
		t.Fatal(err)
	}
	in, out := s.buf, s.out
	if !bytes.Contains(in, []byte("secret-value")) || !bytes.Contains(out[:cap(out)], []byte("put-in")) {
		t.Fatal("the test looks at the wrong buffers")
	}
	held := slices.Clone(in)
	recycle(held[:100]) // as release does, but not into the pool, where another test may use it
	if bytes.Contains(held, []byte("secret-value")) {
		t.Fatal("a buffer keeps what was in it")
	}
	if _, err := io.Copy(io.Discard, s); err != nil || s.buf != nil || s.out != nil {
		t.Fatal("the buffers were not given back", err)
	}
}

func TestAStreamOfSmallPiecesHoldsLittle(t *testing.T) {
	t.Parallel()
	held := 0
	var s *stream
	src := readerFunc(func(p []byte) (int, error) {
		held = max(held, len(s.buf)+len(s.out))
		return copy(p, "data: before secret-value after\n\n"), nil
	})
	s = &stream{src: src, find: NewFinder([][]byte{[]byte("secret-value")}), edit: func(int, int) ([]byte, bool) { return []byte("mask"), true }}
	p := make([]byte, 512)
	for range 1000 {
		if _, err := s.Read(p); err != nil {
			t.Fatal(err)
		}
	}
	if held > sip {
		t.Errorf("held %d bytes while it waited", held)
	}
}
