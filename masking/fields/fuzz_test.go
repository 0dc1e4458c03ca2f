package fields

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

// The mask of the fuzz tests is short, so that it is found.
func fuzzOptions(t testing.TB, f Format) Options {
	return Options{
		Format:   f,
		Boundary: "XX",
		Selector: selector(t, Selection{Credential: true, Names: []string{"n", ""}, Pointers: []string{"/a/b", "/a/0/c", "/0", "/1/n"}}),
		Marked:   func(v []byte) bool { return bytes.Contains(v, []byte("MASK")) },
		Edit: func(_ Field, v []byte) ([]byte, bool, error) {
			if !bytes.Contains(v, []byte("MASK")) {
				return nil, false, nil
			}
			return bytes.ReplaceAll(v, []byte("MASK"), []byte("\"\\\n&--\x01é")), true, nil
		},
	}
}

func addSeeds(f *testing.F) {
	for _, s := range []string{
		`{"token":"MASK","a":{"b":"xMASK"},"n":1.5e-3}`, `[ "MASK", {"n":"MASK"} ]`, `{"a":[{"c":"MASK\ud83d\ude00\ud800"}]}`,
		`{"\u0074oken":"M\u0041SK"}{"api_key":"MASK","apiKey":"MASK"}`, `{"token":"MASK","token":""}`, `{"a":{"b":"MASK"},"a":[]}`,
		"{\"x\":\"\xff\",\"n\":\"MASK\xff\"}", `{"x":"\n\t","y":[true,false,null,-0.1E+5],"":"MASK"} `, `{"token":"MASK`, `{"token":"MASK"}}`,
		"token=MASK&x=y&n=a%20MASK+", "n=&n=MASK", "n%3=MASK&=MASK&&%6e=MASK%zz", "api_key=MASK&apiKey=MASK&n",
		part("token", "MASK") + part("n", "x\r\n-MASK") + closing, part("token\"; filename=\"x", "MASK") + part("n", "MASK\r\n") + "--XX--",
		"x\r\n" + part("n", "MASK") + part("n", "MASK") + closing, "--XX\r\nA: b\r\n\r\n\r\n--XX-- ", strings.ReplaceAll(part("n", "MASK"), "\r", ""),
	} {
		for format := JSON; format <= Multipart; format++ {
			f.Add([]byte(s), uint8(format), uint64(len(s))*0x9e3779b97f4a7c15)
		}
	}
}

// FuzzChunking: however the input is cut, the output is the same; and without
// a replacement it is the input.
func FuzzChunking(f *testing.F) {
	addSeeds(f)
	f.Fuzz(checkChunking)
}

func checkChunking(t *testing.T, in []byte, format uint8, seed uint64) {
	o := fuzzOptions(t, Format(format%3)+1)
	whole, wholeErr := io.ReadAll(newReader(t, bytes.NewReader(in), o))
	sizes := make([]int, 16)
	for i := range sizes {
		sizes[i] = int(seed>>(4*i)&15) + i&1
	}
	sizes[0]++
	for _, src := range []io.Reader{
		iotest.OneByteReader(bytes.NewReader(in)),
		iotest.DataErrReader(bytes.NewReader(in)),
		&chunkReader{r: bytes.NewReader(in), sizes: sizes},
		iotest.DataErrReader(&chunkReader{r: bytes.NewReader(in), sizes: sizes}),
	} {
		var got bytes.Buffer
		_, err := newReader(t, src, o).WriteTo(&got)
		if !bytes.Equal(got.Bytes(), whole) || fmt.Sprint(err) != fmt.Sprint(wholeErr) {
			t.Fatalf("in pieces %q, %v\nas one    %q, %v", got.Bytes(), err, whole, wholeErr)
		}
	}
	o.Edit = func(Field, []byte) ([]byte, bool, error) { return nil, false, nil }
	o.Marked = nil
	same, err := io.ReadAll(newReader(t, &chunkReader{r: bytes.NewReader(in), sizes: sizes}, o))
	if err != nil || !bytes.Equal(same, in) {
		t.Fatalf("without an edit %q, %v", same, err)
	}
}

// FuzzJSON: an edited valid document is valid, and differs from the original,
// as encoding/json reads both, in the selected members alone. What the lexer
// reads to the end is valid, and it reads to the end what is valid.
func FuzzJSON(f *testing.F) {
	addSeeds(f)
	f.Fuzz(checkJSON)
}

func checkJSON(t *testing.T, in []byte, _ uint8, _ uint64) {
	o := fuzzOptions(t, JSON)
	r := newReader(t, bytes.NewReader(in), o)
	lex := r.lex.(*jsonLexer)
	out, err := io.ReadAll(r)
	if err != nil {
		if !errors.Is(err, ErrAmbiguous) && !errors.Is(err, ErrUnencodable) {
			t.Fatal(err)
		}
		return
	}
	ended := r.lex != nil && (lex.state == jsonTop ||
		lex.depth == 0 && lex.state == jsonNumber && (lex.number == numZero || lex.number == numInt || lex.number == numFraction || lex.number == numExponent))
	if ended {
		for d := json.NewDecoder(bytes.NewReader(in)); ; {
			var v json.RawMessage
			err := d.Decode(&v)
			if err == io.EOF {
				break
			}
			if err != nil && !strings.Contains(err.Error(), "exceeded max depth") {
				t.Fatalf("encoding/json does not read what was read: %v", err)
			}
			if err != nil {
				return
			}
		}
	}
	if !json.Valid(in) {
		return
	}
	if !ended {
		t.Fatal("a valid document was not read to its end")
	}
	if !json.Valid(out) {
		t.Fatalf("output is not valid: %q", out)
	}
	want, got := decodeAny(t, in), decodeAny(t, out)
	switch v := want.(type) {
	case map[string]any:
		for k := range v {
			if k == "n" || k == "" || IsCredential(k) || k == "0" {
				swapIn(v, k)
			}
		}
		if len(v) > 0 {
			swapAt(v, "a", "b")
			swapAt(v, "a", "0", "c")
			swapAt(v, "1", "n")
		}
	case []any:
		swapAt(v, "0")
		swapAt(v, "1", "n")
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %q\nwant %q", got, want)
	}
}

func decodeAny(t *testing.T, b []byte) (v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// swapIn replaces the mask in the member k.
func swapIn(m map[string]any, k string) {
	if s, ok := m[k].(string); ok {
		m[k] = strings.ReplaceAll(s, "MASK", "\"\\\n&--\x01é")
	}
}

// swapAt does so at the end of a path of keys and indices.
func swapAt(v any, path ...string) {
	switch v := v.(type) {
	case map[string]any:
		if len(path) == 1 {
			swapIn(v, path[0])
			return
		}
		swapAt(v[path[0]], path[1:]...)
	case []any:
		i, err := strconv.Atoi(path[0])
		if err != nil || i >= len(v) {
			return
		}
		if s, ok := v[i].(string); ok && len(path) == 1 {
			v[i] = strings.ReplaceAll(s, "MASK", "\"\\\n&--\x01é")
			return
		}
		if len(path) > 1 {
			swapAt(v[i], path[1:]...)
		}
	}
}

// FuzzForm: an edited form reads, field by field, as the original with the
// mask replaced in the selected fields that are escaped well.
func FuzzForm(f *testing.F) {
	addSeeds(f)
	f.Fuzz(checkForm)
}

func checkForm(t *testing.T, in []byte, _ uint8, _ uint64) {
	out, err := io.ReadAll(newReader(t, bytes.NewReader(in), fuzzOptions(t, Form)))
	if err != nil {
		if !errors.Is(err, ErrAmbiguous) {
			t.Fatal(err)
		}
		return
	}
	was, is := strings.Split(string(in), "&"), strings.Split(string(out), "&")
	if len(was) != len(is) {
		t.Fatalf("%d fields became %d", len(was), len(is))
	}
	for i := range was {
		if was[i] == is[i] {
			continue
		}
		n1, v1, _ := strings.Cut(was[i], "=")
		n2, v2, _ := strings.Cut(is[i], "=")
		name, err := url.QueryUnescape(n1)
		if n1 != n2 || err != nil || name != "n" && name != "" && !IsCredential(name) {
			t.Fatalf("field %q became %q", was[i], is[i])
		}
		before, err1 := url.QueryUnescape(v1)
		after, err2 := url.QueryUnescape(v2)
		if err1 != nil || err2 != nil || after != strings.ReplaceAll(before, "MASK", "\"\\\n&--\x01é") {
			t.Fatalf("field %q became %q", was[i], is[i])
		}
	}
	for i := range is {
		n, v, _ := strings.Cut(is[i], "=")
		name, err1 := url.QueryUnescape(n)
		value, err2 := url.QueryUnescape(v)
		if err1 == nil && name == charsetField {
			break
		}
		if err1 == nil && err2 == nil && !strings.Contains(v, ";") && (name == "n" || name == "" || IsCredential(name)) && strings.Contains(value, "MASK") && len(was) < maxSpellings {
			t.Fatalf("field %q was not edited", is[i])
		}
	}
}

// FuzzMultipart: where mime/multipart reads the original, it reads the edited
// form alike, but for selected fields without a file name.
func FuzzMultipart(f *testing.F) {
	addSeeds(f)
	f.Fuzz(checkMultipart)
}

func checkMultipart(t *testing.T, in []byte, _ uint8, _ uint64) {
	if bytes.Contains(in, []byte("\"\\\n&--\x01é")) {
		return
	}
	out, err := io.ReadAll(newReader(t, bytes.NewReader(in), fuzzOptions(t, Multipart)))
	if err != nil {
		if !errors.Is(err, ErrAmbiguous) {
			t.Fatal(err)
		}
		return
	}
	if bytes.Equal(in, out) {
		return
	}
	a, b := multipart.NewReader(bytes.NewReader(in), "XX"), multipart.NewReader(bytes.NewReader(out), "XX")
	for {
		p, err1 := a.NextRawPart()
		q, err2 := b.NextRawPart()
		if fmt.Sprint(err1) != fmt.Sprint(err2) {
			t.Fatalf("errors %v and %v", err1, err2)
		}
		if err1 != nil {
			return
		}
		if !reflect.DeepEqual(p.Header, q.Header) {
			t.Fatalf("headers %q and %q", p.Header, q.Header)
		}
		v1, err1 := io.ReadAll(p)
		v2, err2 := io.ReadAll(q)
		if fmt.Sprint(err1) != fmt.Sprint(err2) {
			t.Fatalf("errors %v and %v", err1, err2)
		}
		if bytes.Equal(v1, v2) {
			continue
		}
		name := p.FormName()
		if name != "n" && name != "" && !IsCredential(name) || p.FileName() != "" {
			t.Fatalf("part %q was edited", p.Header)
		}
		if string(v2) != strings.ReplaceAll(string(v1), "MASK", "\"\\\n&--\x01é") {
			t.Fatalf("%q became %q", v1, v2)
		}
	}
}
