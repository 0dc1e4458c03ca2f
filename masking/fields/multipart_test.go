package fields

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"slices"
	"strings"
	"testing"
)

// crlf turns the line ends of a raw string into CRLF.
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// part is one part as browsers write it.
func part(name, value string) string {
	return "--XX\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
}

const closing = "--XX--\r\n"

func TestMultipartEdits(t *testing.T) {
	t.Parallel()
	all := Selection{Credential: true, Names: []string{"name", "a;b", "ключ"}}
	const cd = "Content-Disposition: form-data; name="
	for _, c := range []struct{ name, in, want string }{
		{"a field", part("token", "M") + closing, part("token", "S") + closing},
		{"several", part("a", "M") + part("token", "M") + part("name", "x M y") + closing, part("a", "M") + part("token", "S") + part("name", "x S y") + closing},
		{"an empty value", part("token", "") + part("name", "M") + closing, part("token", "") + part("name", "S") + closing},
		{"lines in a value", part("name", "\r\n--X\r\n\n-M\r\n-\r\n--\r\n") + closing, part("name", "\r\n--X\r\n\n-S\r\n-\r\n--\r\n") + closing},
		{"a close without CRLF", part("token", "M") + "--XX--", part("token", "S") + "--XX--"},
		{"an epilogue", part("token", "M") + closing + part("token", "M"), part("token", "S") + closing + part("token", "M")},
		{"a preamble", "hello\r\n" + part("token", "M") + closing, "hello\r\n" + part("token", "S") + closing},
		{"an empty preamble line", "\r\n" + part("token", "M") + closing, "\r\n" + part("token", "S") + closing},
		{"headers in another case and order", crlf("--XX\ncontent-type: text/plain\ncontent-Transfer-ENCODING:\t8BIT \ncontent-disposition:Form-Data ;\tName=token \n\nM\n--XX--"), crlf("--XX\ncontent-type: text/plain\ncontent-Transfer-ENCODING:\t8BIT \ncontent-disposition:Form-Data ;\tName=token \n\nS\n--XX--")},
		{"names of all kinds", part("a;b", "M") + part("ключ", "M") + closing, part("a;b", "S") + part("ключ", "S") + closing},
		{"the other plain encodings", crlf("--XX\n" + cd + "token\nContent-Transfer-Encoding: binary\n\nM\n--XX\n" + cd + "secret\nContent-Transfer-Encoding: 7bit\n\nM\n--XX--"), crlf("--XX\n" + cd + "token\nContent-Transfer-Encoding: binary\n\nS\n--XX\n" + cd + "secret\nContent-Transfer-Encoding: 7bit\n\nS\n--XX--")},
		{"a file between fields", crlf("--XX\n"+cd+"\"f\"; filename=\"token\"\nContent-Type: image/png\n\n\x00M\xff\n") + part("token", "M") + closing, crlf("--XX\n"+cd+"\"f\"; filename=\"token\"\nContent-Type: image/png\n\n\x00M\xff\n") + part("token", "S") + closing},
		{"a part without a header", crlf("--XX\n\nM\n") + part("token", "M") + closing, crlf("--XX\n\nM\n") + part("token", "S") + closing},
		{"no input", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := strings.ReplaceAll(c.in, "M", mask)
			want := strings.ReplaceAll(strings.ReplaceAll(c.want, "M", mask), "S", secret)
			expect(t, in, want, options(t, Multipart, all))
		})
	}
}

// A part with such a header stays; the one after it is edited.
func TestMultipartLeavesPartsThatAreReadInTwoWays(t *testing.T) {
	t.Parallel()
	const cd = "Content-Disposition: form-data; name=\"token\""
	for _, header := range []string{
		cd + "; filename=\"\"", cd + "; filename=x", cd + "; filename*=UTF-8''x", cd + "; name*=UTF-8''x", cd + "; FileName=x",
		cd + "; x=y", cd + ";", cd + "; ", cd + " x", cd + "x", cd + "; name=\"x\"", cd + "; name",
		"Content-Disposition: form-data; filename=x; name=token", "Content-Disposition: form-data; x=\"; name=\"; name=token",
		"Content-Disposition: attachment; name=\"token\"", "Content-Disposition: form-data", "Content-Disposition:", "Content-Disposition: ; name=token",
		"Content-Disposition: name=token", "Content-Disposition: form-data name=token", "Content-Disposition: form-data, name=token",
		"Content-Disposition: form-data; name=", "Content-Disposition: form-data; name=\"token", "Content-Disposition: form-data; name=token\"",
		"Content-Disposition: form-data; name = token", "Content-Disposition: form-data; name= token", "Content-Disposition: form-data; name =token",
		"Content-Disposition: form-data; name='token'", "Content-Disposition: form-data; name=to%6ben", "Content-Disposition: form-data; name=\"tok\\en\"",
		"Content-Disposition: form-data; name=\"\\token\"", "Content-Disposition: form-data;; name=token", "Content-Disposition: form-data; =x; name=token",
		"Content-Di\u017fposition: form-data; name=token", "Content-Disposition : form-data; name=token", " Content-Disposition: form-data; name=token",
		"Content-Disposition: form-data;\r\n name=token", cd + "\r\n x", "Content-Disposition form-data; name=token",
		cd + "\r\n" + cd, cd + "\r\nContent-Disposition: form-data; name=\"x\"",
		cd + "\r\nContent-Length: 42", cd + "\r\nX-A: b", cd + "\r\nnonsense", cd + "\r\nContent-MD5: x",
		cd + "\r\nContent-Type: multipart/mixed; boundary=Y", cd + "\r\nContent-Type: MULTIPART/mixed", cd + "\r\nContent-Type: message/rfc822",
		cd + "\r\nContent-Type: text/plain\r\nContent-Type: text/plain",
		cd + "\r\nContent-Transfer-Encoding: base64", cd + "\r\nContent-Transfer-Encoding: quoted-printable", cd + "\r\nContent-Transfer-Encoding:", cd + "\r\nContent-Transfer-Encoding: x",
		cd + "\r\nContent-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: 7bit",
		"Content-Disposition: form-data; name=\"to%6Ben\"", "Content-Disposition: form-data; name=\"token%22\"", "Content-Disposition: form-data; name=\"a\x01\"",
		cd + "\r\nContent-Type: a\x00", cd + "\r\nContent-Type: a\x01b", cd + "\x00", "Content-Disposition: form-data; name=\"token\"\r\nContent-Type: a\x7f",
	} {
		t.Run(header, func(t *testing.T) {
			t.Parallel()
			in := "--XX\r\n" + header + "\r\n\r\n" + mask + "\r\n"
			o := options(t, Multipart, Selection{Credential: true, Names: []string{"", "x", "'token'", "to%6ben", "token\"", "tok\\en", "\\token", "\"token", "toke", "to%6Ben", "token%22", "a\x01"}})
			expect(t, in+part("secret", mask)+closing, in+part("secret", secret)+closing, o)
		})
	}
}

// Everything from the malformed place on stays, also what would be selected.
func TestMultipartLeavesWhatIsMalformed(t *testing.T) {
	t.Parallel()
	o := options(t, Multipart, Selection{Credential: true})
	tail := part("token", mask) + closing
	held := part("token", mask)
	for _, c := range []struct{ name, in string }{
		{"no delimiter", "x"},
		{"an indented delimiter", " --XX\r\n\r\n\r\n"},
		{"a delimiter amid a line", "a--XX\r\n\r\n\r\n"},
		{"a delimiter after a bare LF", "a\n--XX\r\n\r\n\r\n"},
		{"a delimiter after a bare CR", "a\r--XX\r\n\r\n\r\n"},
		{"a delimiter with a longer boundary", "--XXY\r\n\r\n\r\n"},
		{"a delimiter with padding", "--XX \r\n\r\n\r\n"},
		{"a delimiter with a bare LF", "--XX\n\r\n\r\n"},
		{"a delimiter with a bare CR", "--XX\rX"},
		{"a delimiter with one dash", "--XX-\r\n\r\n\r\n"},
		{"a close first", closing},
		{"the boundary amid a value", held[:len(held)-2] + " --XX\r\n"},
		{"the boundary after a bare LF in a value", held[:len(held)-2] + "\n--XX\r\n"},
		{"a value that a longer boundary ends", held + "--XXX\r\n"},
		{"a value that a bare LF ends", held[:len(held)-2] + "\n"},
		{"a close with more on its line", held + "--XX--x\r\n"},
		{"a close with padding", held + "--XX-- \r\n"},
		{"a close with a bare LF", held + "--XX--\n"},
		{"a close with a bare CR", held + "--XX--\rx"},
		{"a part without a blank line", "--XX\r\nA: b\r\n"},
		{"a delimiter straight after the header", "--XX\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n"},
		{"a bare LF in a header", "--XX\r\nContent-Disposition: form-data; name=\"token\"\nA: b\r\n\r\n" + mask + "\r\n"},
		{"a bare CR in a header", "--XX\r\nContent-Disposition: form-data; name=\"token\"\rA: b\r\n\r\n" + mask + "\r\n"},
		{"a header that LF ends", "--XX\r\nContent-Disposition: form-data; name=\"token\"\n\n" + mask + "\r\n"},
		{"the boundary in a header", "--XX\r\nContent-Disposition: form-data; name=\"token\"\r\nContent-Type: a--XX\r\n\r\n" + mask + "\r\n"},
		{"a header that is too long", "--XX\r\nContent-Disposition: form-data; name=\"token\"\r\nContent-Type: " + strings.Repeat("a", maxPartHeader) + "\r\n\r\n" + mask + "\r\n"},
		{"LF alone", strings.ReplaceAll(part("token", mask), "\r", "")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := c.in + tail
			if c.name == "no delimiter" {
				in = strings.ReplaceAll(tail, "XX", "YY")
			}
			expect(t, in, in, o)
		})
	}
	t.Run("a value without end", func(t *testing.T) {
		t.Parallel()
		for _, in := range []string{
			held, held[:len(held)-2], held + "--X", held + "--XX", held + "--XX-", held + "--XX\r", held + "--XX--\r", held + "--XX--x",
			"--XX\r\nContent-Disposition: form-data; name=\"token\"\r\n", "--XX", "-", "--XX\r\n", "--XX\r\n\r\n",
		} {
			expect(t, in, in, o)
		}
	})
	t.Run("a header of the allowed length", func(t *testing.T) {
		t.Parallel()
		head := "--XX\r\nContent-Disposition: form-data; name=\"token\"\r\nContent-Type: "
		for _, more := range []int{0, 1} {
			in := head + strings.Repeat("a", maxPartHeader-len(head)+len("--XX")+more) + "\r\n\r\n" + mask + "\r\n" + closing
			want := in
			if more == 0 {
				want = strings.ReplaceAll(in, mask, secret)
			}
			expect(t, in, want, o)
		}
	})
	t.Run("a header without end", func(t *testing.T) {
		t.Parallel()
		in := strings.Replace(held, "\r\n\r\n", "\r\nContent-Type: "+strings.Repeat("a", 3<<20), 1) + "\r\n\r\n" + tail
		r := newReader(t, strings.NewReader(in), o)
		r.lex = &watched{lexer: r.lex, t: t}
		if out, err := io.ReadAll(r); err != nil || string(out) != in {
			t.Errorf("it came out changed, or %v", err)
		}
	})
	t.Run("a boundary that is none", func(t *testing.T) {
		t.Parallel()
		for _, b := range []string{"", "XX ", "a\"b", "X\r\nX", "X\x00", "é", strings.Repeat("X", 71), "X;X", "X\tX", "X*"} {
			o := options(t, Multipart, Selection{Credential: true})
			o.Boundary = b
			in := strings.ReplaceAll(tail, "XX", b)
			expect(t, in, in, o)
		}
	})
	t.Run("a boundary of every allowed byte", func(t *testing.T) {
		t.Parallel()
		for _, b := range []string{"0", "'()+_,./:=? z", "-a-", strings.Repeat("-", 69) + "A", "----WebKitFormBoundary7MA4YWxkTrZu0gW"} {
			o := options(t, Multipart, Selection{Credential: true})
			o.Boundary = b
			in := strings.ReplaceAll(part("token", mask)+"--XX--", "XX", b)
			want := strings.ReplaceAll(in, mask, secret)
			expect(t, in, want, o)
		}
	})
}

func TestMultipartOffersFields(t *testing.T) {
	t.Parallel()
	in := part("a", "1") + part("Client-Secret", "2\r\n") + part("name", "") + closing
	got, values := offered(t, in, options(t, Multipart, Selection{Credential: true, Names: []string{"name"}}))
	want := []Field{{Name: "Client-Secret", Top: true}, {Name: "name", Top: true}}
	if !slices.Equal(got, want) || !slices.Equal(values, []string{"2\r\n", ""}) {
		t.Errorf("got %+v %q", got, values)
	}
}

func TestMultipartAmbiguity(t *testing.T) {
	t.Parallel()
	o := options(t, Multipart, Selection{Credential: true, Names: []string{"to\"ken"}})
	token := Field{Name: "token", Top: true}
	const cd = "--XX\r\nContent-Disposition: form-data; name="
	first := part("token", secret)
	t.Run("the first holds a mask", func(t *testing.T) {
		t.Parallel()
		head := cd + "\"token\"\r\n\r\n"
		expectAmbiguous(t, part("token", mask)+part("x", "y")+part("token", "z")+closing, first+part("x", "y")+head, token, o)
	})
	t.Run("the second does", func(t *testing.T) {
		t.Parallel()
		expectAmbiguous(t, part("token", "z")+part("token", mask)+closing, part("token", "z")+cd+"\"token\"\r\n\r\n", token, o)
	})
	for _, c := range []struct{ name, head string }{
		{"a file", "\"token\"; filename=\"a\""},
		{"a name with a backslash", "\"to\\ken\""},
		{"another header", "token\r\nX-A: b"},
		{"a second disposition", "x\r\nContent-Disposition: form-data; name=token"},
	} {
		t.Run("the other is "+c.name, func(t *testing.T) {
			t.Parallel()
			head := cd + c.head + "\r\n\r\n"
			expectAmbiguous(t, part("token", mask)+head+"x\r\n"+closing, first+head, token, o)
			expectAmbiguous(t, head+"x\r\n"+part("token", mask)+closing, head+"x\r\n"+cd+"\"token\"\r\n\r\n", token, o)
		})
	}
	t.Run("neither is edited, hence neither is ambiguous", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"\"to\\\"ken\"", "\"to%22ken\""} {
			in := cd + name + "\r\n\r\n" + mask + "\r\n" + closing
			expect(t, in+in[:len(in)-len(closing)]+closing, in+in[:len(in)-len(closing)]+closing, o)
		}
	})
	t.Run("a part whose name reads as one twice is one occurrence", func(t *testing.T) {
		t.Parallel()
		in := cd + "token; name=token\r\n\r\nx\r\n" + closing
		expect(t, in, in, o)
	})
}

func TestMultipartRefusesTheBoundaryInAReplacement(t *testing.T) {
	t.Parallel()
	for _, replacement := range []string{"--XX", "a\r\n--XX\r\nb", "a\n--XXb", "a--XX\r--XX"} {
		o := options(t, Multipart, Selection{Credential: true})
		o.Edit = func(Field, []byte) ([]byte, bool, error) { return []byte(replacement), true, nil }
		for _, way := range readWays() {
			got, err := way.read(t, part("token", mask)+closing, o)
			var unencodable *UnencodableError
			if !errors.As(err, &unencodable) || !errors.Is(err, ErrUnencodable) || unencodable.Format != Multipart {
				t.Errorf("%s: %q: error %v", way.name, replacement, err)
			}
			if want := part("token", ""); got != want[:len(want)-2] {
				t.Errorf("%s: %q: got %q", way.name, replacement, got)
			}
		}
	}
}

func TestMultipartTakesTheBoundaryAmidALineOfAReplacement(t *testing.T) {
	t.Parallel()
	// To refuse it would tell whoever chooses the boundary what the value holds.
	for _, replacement := range []string{"a--XXb", "--X--XX", "a\r\nb--XX\r\n"} {
		o := options(t, Multipart, Selection{Credential: true})
		o.Edit = func(Field, []byte) ([]byte, bool, error) { return []byte(replacement), true, nil }
		expect(t, part("token", mask)+closing, part("token", replacement)+closing, o)
		form, err := multipart.NewReader(strings.NewReader(part("token", replacement)+closing), "XX").ReadForm(1 << 10)
		if err != nil || form.Value["token"][0] != replacement {
			t.Errorf("%q is read as %v, %v", replacement, form, err)
		}
	}
}

func TestMultipartIsReadAsTheStandardLibraryWritesAndReadsIt(t *testing.T) {
	t.Parallel()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	file := bytes.Repeat([]byte("\r\n--"+w.Boundary()[:40]+"\x00"), 10_000)
	if err := errors.Join(
		w.WriteField("model", mask),
		w.WriteField("api_key", mask),
		func() error {
			f, err := w.CreateFormFile("token", "token.bin")
			if err != nil {
				return err
			}
			_, err = f.Write(file)
			return err
		}(),
		w.WriteField("password", mask),
		w.Close(),
	); err != nil {
		t.Fatal(err)
	}
	o := options(t, Multipart, Selection{Credential: true})
	o.Boundary = w.Boundary()
	form, err := multipart.NewReader(newReader(t, &body, o), w.Boundary()).ReadForm(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"model": mask, "api_key": secret, "password": secret} {
		if got := form.Value[name]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	f, err := form.File["token"][0].Open()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, file) {
		t.Errorf("the file has changed, or %v", err)
	}
}

func TestDispositionNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value string
		names []string
		plain bool
	}{
		{`form-data; name="a b"`, []string{"a b"}, true},
		{`form-data; name=a-b_c.1`, []string{"a-b_c.1"}, true},
		{`form-data; name=""`, []string{""}, true},
		{`form-data; name="a\"b"`, []string{`a\"b`, `a"b`}, false},
		{`form-data; name="a\b\\"`, []string{`a\b\\`, `ab\`}, false},
		{`form-data; filename="x; name=y"; name="z"`, []string{"z"}, false},
		{`form-data; name="y"; name="z"`, []string{"y", "z"}, false},
		{`form-data; name="a" b`, []string{"a"}, false},
		{`form-data; name="a`, nil, false},
		{`form-data`, nil, false},
		{``, nil, false},
	} {
		read, plain := readDisposition([]byte(c.value))
		var names []string
		for _, n := range read {
			names = append(names, string(n))
		}
		if !slices.Equal(names, c.names) || plain != c.plain {
			t.Errorf("%s: %q, %v", c.value, names, plain)
		}
	}
}

// watched is a lexer that may only be shown windows that a header fits into.
type watched struct {
	lexer
	t *testing.T
}

func (l *watched) scan(w *window, eof bool) (finding, error) {
	if len(w.buf) > 4*maxPartHeader {
		l.t.Errorf("the window has grown to %d bytes", len(w.buf))
	}
	return l.lexer.scan(w, eof)
}
