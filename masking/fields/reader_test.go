package fields

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestNewReaderReportsEveryProblem(t *testing.T) {
	t.Parallel()
	for _, f := range []Format{0, -1, Multipart + 1} {
		_, err := NewReader(strings.NewReader(""), Options{Format: f})
		if err == nil || !strings.Contains(err.Error(), "no editor") || !strings.Contains(err.Error(), "unknown format") {
			t.Errorf("format %d: error %v", f, err)
		}
	}
}

// bodies are one of each format, with a selected value that spans many reads.
var bodies = []struct {
	format       Format
	before, tail string
}{
	{JSON, `{"model":"x","token":"`, `","z":1}`},
	{Form, `model=x&token=`, `&z=1`},
	{Multipart, "--XX\r\nContent-Disposition: form-data; name=token\r\n\r\n", "\r\n--XX--\r\n"},
}

func TestNothingSelectedPassesAsItIs(t *testing.T) {
	t.Parallel()
	for _, b := range bodies {
		in := b.before + mask + b.tail
		for _, sel := range []*Selector{nil, selector(t, Selection{})} {
			expect(t, in, in, Options{Format: b.format, Boundary: "XX", Selector: sel, Edit: swap, Marked: holdsMask})
		}
	}
}

func TestEmptyReplacement(t *testing.T) {
	t.Parallel()
	for _, b := range bodies {
		o := options(t, b.format, Selection{Credential: true})
		o.Edit = func(Field, []byte) ([]byte, bool, error) { return nil, true, nil }
		expect(t, b.before+mask+b.tail, b.before+b.tail, o)
	}
}

func TestLongMembers(t *testing.T) {
	t.Parallel()
	for _, b := range bodies {
		t.Run(b.format.String(), func(t *testing.T) {
			t.Parallel()
			o := options(t, b.format, Selection{Credential: true})
			var told []Field
			o.OnLong = func(f Field) { told = append(told, f) }
			read := func(in string, wrap func(io.Reader) io.Reader) string {
				t.Helper()
				told = nil
				r := newReader(t, wrap(strings.NewReader(in)), o)
				limit := 0
				var out bytes.Buffer
				for {
					_, err := io.CopyN(&out, r, 4096)
					limit = max(limit, cap(r.w.buf))
					if err == io.EOF {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				if limit > windowLimit {
					t.Errorf("the window has grown to %d bytes", limit)
				}
				return out.String()
			}
			for i, wrap := range []func(io.Reader) io.Reader{
				func(r io.Reader) io.Reader { return r }, iotest.DataErrReader,
				func(r io.Reader) io.Reader { return &chunkReader{r: r, sizes: []int{4000, 33000, 7}} },
				func(r io.Reader) io.Reader { return &chunkReader{r: r, sizes: []int{17}} },
			} {
				fits := b.before + mask + strings.Repeat("x", MaxMember-len(mask)) + b.tail
				want := strings.Replace(fits, mask, string(encodedSecret(b.format)), 1)
				if got := read(fits, wrap); got != want || told != nil {
					t.Errorf("a value of MaxMember bytes was not edited; told %v", told)
				}
				for _, more := range []int{1, 2, 5, 1 << 20}[:4-i] {
					long := b.before + mask + strings.Repeat("x", MaxMember-len(mask)+more) + b.tail
					if got := read(long, wrap); got != long {
						t.Errorf("a value of MaxMember+%d bytes was edited", more)
					}
					if len(told) != 1 || told[0].Name != "token" || !told[0].Top {
						t.Errorf("told %v about MaxMember+%d bytes", told, more)
					}
				}
			}
			// Nobody need be told, and what follows is edited.
			o.OnLong = nil
			long := b.before + strings.Repeat("x", MaxMember+1)
			next := map[Format]string{JSON: `","secret":"`, Form: "&secret=", Multipart: "\r\n" + strings.Replace(b.before, "token", "secret", 1)}[b.format]
			out, err := io.ReadAll(newReader(t, strings.NewReader(long+next+mask+b.tail), o))
			if want := long + next + encodedSecret(b.format) + b.tail; err != nil || string(out) != want {
				t.Errorf("the member after a long one was not edited, or %v", err)
			}
			// A long occurrence is one, but holds no mask.
			again := map[Format]string{JSON: `","token":"`, Form: "&token=", Multipart: "\r\n" + b.before}[b.format]
			for _, in := range []string{long + again + mask + b.tail, b.before + mask + again + long[len(b.before):] + b.tail} {
				if _, err := io.ReadAll(newReader(t, strings.NewReader(in), o)); !errors.Is(err, ErrAmbiguous) {
					t.Errorf("error %v, want ambiguous", err)
				}
			}
			in := long + again + "y" + b.tail
			if out, err := io.ReadAll(newReader(t, strings.NewReader(in), o)); err != nil || string(out) != in {
				t.Errorf("two values without masks are ambiguous: %v", err)
			}
		})
	}
}

func encodedSecret(f Format) string {
	return map[Format]string{JSON: secretJSON, Form: secretForm, Multipart: secret}[f]
}

func TestReadErrorsComeAfterWhatWasRead(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for _, b := range bodies {
		whole := b.before + mask + b.tail + strings.Repeat("\n", 3)
		for n := range len(whole) {
			for _, fail := range []error{boom, io.ErrUnexpectedEOF} {
				for _, wrap := range []func(io.Reader) io.Reader{
					func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.DataErrReader,
				} {
					src := wrap(io.MultiReader(strings.NewReader(whole[:n]), iotest.ErrReader(fail)))
					got, err := io.ReadAll(newReader(t, src, options(t, b.format, Selection{Credential: true})))
					if err != fail {
						t.Fatalf("%s, %d bytes: error %v", b.format, n, err)
					}
					cut := strings.Replace(string(got), encodedSecret(b.format), mask, 1)
					if cut != whole[:n] {
						t.Fatalf("%s, %d bytes: got %q of %q", b.format, n, got, whole[:n])
					}
					if len(b.before)+len(mask) >= n && string(got) != whole[:n] {
						t.Fatalf("%s: an unfinished value was edited: %q", b.format, got)
					}
				}
			}
		}
		r := newReader(t, iotest.ErrReader(boom), options(t, b.format, Selection{Credential: true}))
		for range 3 {
			if n, err := r.Read(make([]byte, 8)); n != 0 || err != boom {
				t.Errorf("Read returned %d, %v", n, err)
			}
		}
		if n, err := r.WriteTo(io.Discard); n != 0 || err != boom {
			t.Errorf("WriteTo returned %d, %v", n, err)
		}
	}
}

func TestAFormThatBreaksOffIsNotEdited(t *testing.T) {
	t.Parallel()
	in := "a=b&token=" + mask
	src := io.MultiReader(strings.NewReader(in), iotest.ErrReader(io.ErrUnexpectedEOF))
	got, err := io.ReadAll(newReader(t, src, options(t, Form, Selection{Credential: true})))
	if string(got) != in || err != io.ErrUnexpectedEOF {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestEditorErrorsEndReading(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for _, b := range bodies {
		o := options(t, b.format, Selection{Credential: true})
		o.Edit = func(Field, []byte) ([]byte, bool, error) { return []byte("x"), true, boom }
		for _, way := range readWays() {
			got, err := way.read(t, b.before+mask+b.tail, o)
			if got != b.before || err != boom {
				t.Errorf("%s, %s: got %q, %v", b.format, way.name, got, err)
			}
		}
		r := newReader(t, strings.NewReader(b.before+mask+b.tail), o)
		if _, err := io.ReadAll(r); err != boom {
			t.Errorf("error %v", err)
		}
		for range 3 {
			if n, err := r.Read(make([]byte, 8)); n != 0 || err != boom {
				t.Errorf("after the error: Read returned %d, %v", n, err)
			}
		}
	}
}

func TestTheEditorSeesAValueItCannotGrowIntoTheBody(t *testing.T) {
	t.Parallel()
	for _, b := range bodies {
		for _, value := range []string{mask, "%6b" + mask[1:], `\u006b` + mask[1:]} {
			o := options(t, b.format, Selection{Credential: true})
			o.Edit = func(_ Field, v []byte) ([]byte, bool, error) {
				_ = append(v, "overwritten"...)
				return nil, false, nil
			}
			expect(t, b.before+value+b.tail, b.before+value+b.tail, o)
		}
	}
}

// steps is a reader that hands out one piece for each Read.
type steps struct {
	pieces []string
	next   int
}

func (s *steps) Read(p []byte) (int, error) {
	if s.next == len(s.pieces) {
		return 0, io.EOF
	}
	s.next++
	return copy(p, s.pieces[s.next-1]), nil
}

// What is decided goes out before the next piece is asked for.
func TestNothingDecidedIsDelayed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		format Format
		pieces []string
		want   []string // what goes out before the piece after
	}{
		{JSON,
			[]string{`{"model":"a`, `b`, `\`, `u00`, `e9","toke`, `n":"`, `kz`, `x"`, `,"a":1`, `2`, `,"b":tr`, `ue}`, ` `},
			[]string{`{"model":"a`, `b`, `\`, `u00`, `e9","toke`, `n":"`, ``, `kzx"`, `,"a":1`, `2`, `,"b":tr`, `ue}`, ` `}},
		{JSON,
			[]string{`{"secret":"kz`, `",!`, `"token":"`, `x`},
			[]string{`{"secret":"`, `kz",!`, `"token":"`, `x`}},
		{Form,
			[]string{`a=b`, `c&to`, `k%6`, `5n=`, `x`, `y&z`, `=1`, `2`},
			[]string{`a=b`, `c&to`, `k%6`, `5n=`, ``, `xy&z`, `=1`, `2`}},
		{Multipart,
			[]string{"--X", "X\r\nContent-Disposition: form-data; na", "me=f\r\n\r\nfile\r", "\n--", "x\r\n--XX\r\nContent-Disposition: form-data; name=token\r\n\r\nab", "c", "\r\n--XX", "--", "\r\nend", "end"},
			[]string{"--X", "X\r\nContent-Disposition: form-data; na", "me=f\r\n\r\nfile\r", "\n--", "x\r\n--XX\r\nContent-Disposition: form-data; name=token\r\n\r\n", "", "", "", "abc\r\n--XX--\r\nend", "end"}},
	} {
		t.Run(c.format.String(), func(t *testing.T) {
			t.Parallel()
			src := &steps{pieces: c.pieces}
			r := newReader(t, src, options(t, c.format, Selection{Credential: true}))
			got := make([]string, len(c.pieces))
			buf := make([]byte, 1<<10)
			for {
				n, err := r.Read(buf)
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				got[src.next-1] += string(buf[:n])
			}
			if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestAReaderThatReturnsNothingIsGivenUp(t *testing.T) {
	t.Parallel()
	r := newReader(t, &chunkReader{r: strings.NewReader("{}"), sizes: []int{0}}, options(t, JSON, Selection{Credential: true}))
	if _, err := io.ReadAll(r); err != io.ErrNoProgress {
		t.Errorf("error %v", err)
	}
	r = newReader(t, &chunkReader{r: strings.NewReader("{}"), sizes: []int{0, 0, 0, 1}}, options(t, JSON, Selection{Credential: true}))
	if out, err := io.ReadAll(r); string(out) != "{}" || err != nil {
		t.Errorf("got %q, %v", out, err)
	}
}

type failingWriter struct{ n int }

func (w *failingWriter) Write(p []byte) (int, error) {
	if len(p) > w.n {
		return w.n, nil // short, without an error
	}
	w.n -= len(p)
	return len(p), nil
}

func TestWriteToReportsAShortWrite(t *testing.T) {
	t.Parallel()
	in := `{"token":"` + mask + `"}`
	r := newReader(t, strings.NewReader(in), options(t, JSON, Selection{Credential: true}))
	if n, err := r.WriteTo(&failingWriter{n: 5}); n != 5 || err != io.ErrShortWrite {
		t.Fatalf("WriteTo returned %d, %v", n, err)
	}
	rest, err := io.ReadAll(r)
	if want := strings.ReplaceAll(in, mask, secretJSON)[5:]; string(rest) != want || err != nil {
		t.Errorf("the rest is %q, %v", rest, err)
	}
}

func TestEndOfInputStays(t *testing.T) {
	t.Parallel()
	for _, in := range []string{`{}`, `{"token":"` + mask + `"}`, `!`, ``} {
		r := newReader(t, strings.NewReader(in), options(t, JSON, Selection{Credential: true}))
		if n, err := r.Read(nil); n != 0 || err != nil {
			t.Errorf("Read(nil) returned %d, %v", n, err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("%q: Read at the end returned %d, %v", in, n, err)
			}
			if n, err := r.WriteTo(io.Discard); n != 0 || err != nil {
				t.Errorf("%q: WriteTo at the end returned %d, %v", in, n, err)
			}
		}
	}
}
