package masking

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

const testMask = "kz_masked_0123456789abcdef0123456789abcdef"

func newScrubber(t testing.TB, values ...string) *Scrubber {
	t.Helper()
	var list []Value
	for i, v := range values {
		list = append(list, Value{Name: fmt.Sprintf("S%d", i), Mask: testMask, Bytes: []byte(v)})
	}
	s, err := NewScrubber(list)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestScrubberFindsEveryForm(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		"sk-proj-AbC123_xyz-789",
		"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY==",
		`quotes " and ' and \ and <tags> & more`,
		"pass~word!*()#?;,:@$[]{}|^%20 +",
		"clé-privée-日本-😀-key",
		"-----BEGIN KEY-----\nMIIB+/zz\nAAAA==\n-----END KEY-----",
		"tab\tand\x01control",
		"clé & <日本>",
		"`/=+` <\"and'> & more",
		"12345678",
		`{"type":"service_account","private_key":"-----BEGIN\nxyz"}`,
	} {
		s := newScrubber(t, "another-value", value)
		for name, encode := range encoders {
			text := encode(value)
			hits := 0
			got := s.String("{"+text+"}", func(name string) {
				if hits++; name != "S1" {
					t.Errorf("%s: hit of %s", name, name)
				}
			})
			if got != "{"+testMask+"}" || hits != 1 {
				t.Errorf("%s of %q: got %q, %d hits", name, value, got, hits)
			}
		}
	}
}

func TestScrubberFindsTheBestKnownFormsOfALongValue(t *testing.T) {
	t.Parallel()
	value := strings.Repeat("`/=+` <\"and'> & more\n", 20) + "end"
	s := newScrubber(t, value)
	var missed []string
	for name, encode := range encoders {
		if got := s.String(encode(value), nil); got != testMask {
			missed = append(missed, name)
		}
	}
	slices.Sort(missed)
	if want := []string{"HTML by .NET", "HTML by Handlebars", "HTML by Mustache", "HTML by OWASP", "JSON by Gson of JSON",
		"JSON of JSON by PHP", "JSON, all but letters"}; !slices.Equal(missed, want) {
		t.Errorf("not found: %q, want %q", missed, want)
	}
}

func TestScrubberFindsBase64WhateverIsAround(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		for before := range 7 {
			for after := range 7 {
				for size := MinScrub; size < MinScrub+6; size++ {
					b := make([]byte, before+size+after)
					for i := range b {
						b[i] = byte(r.Uint32())
					}
					value := b[before : before+size]
					s := newScrubber(t, string(value))
					text := encoding.EncodeToString(b)
					hits := 0
					got := s.String(text, func(string) { hits++ })
					// What stays is the digits that have bits of a neighbour.
					most := (before*8+5)/6 + len(text) - (before+size)*8/6
					if after == 0 {
						most = (before*8 + 5) / 6
					}
					if rest := len(got) - len(testMask); hits != 1 || rest > most || rest < most-1 {
						t.Fatalf("%d before, %d of value, %d after: %d hits, %d digits stay, not %d", before, size, after, hits, rest, most)
					}
					if after == 0 && !strings.HasSuffix(got, testMask) {
						t.Fatalf("%d before, at the end: %q stays", before, got)
					}
				}
			}
		}
	}
}

func TestScrubberLineBreaks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, value, input, want string }{
		{"a newline at the end stays", "secret-value\n", "data: secret-value\n\n", "data: <>\n\n"},
		{"CR LF at the end stays", "secret-value\r\n", "secret-value\r\n", "<>\r\n"},
		{"it is not needed", "secret-value\n", "secret-value", "<>"},
		{"only one is left aside", "secret-value\n\n", "secret-value secret-value\n", "secret-value <>"},
		{"base64 of a line", "secret-value\n", base64.StdEncoding.EncodeToString([]byte("secret-value\n")), "<>"},
		{"base64 of the value without its newline", "secret-value\n", base64.StdEncoding.EncodeToString([]byte("secret-value")), "<>"},
		{"LF is also CR LF", "line-one\nline-two", "line-one\r\nline-two", "<>"},
		{"CR LF is also LF", "line-one\r\nline-two", "line-one\nline-two", "<>"},
		{"JSON of CR LF", "line-one\nline-two\n", `line-one\r\nline-two\r\n`, `<>\r\n`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := NewScrubber([]Value{{Name: "A", Mask: "<>", Bytes: []byte(c.value)}})
			if err != nil {
				t.Fatal(err)
			}
			if got := s.String(c.input, nil); got != c.want {
				t.Fatalf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestNewScrubberRefusesShortValues(t *testing.T) {
	t.Parallel()
	s, err := NewScrubber([]Value{
		{Name: "SHORT", Bytes: []byte("canary1")}, {Name: "LONG", Bytes: []byte("long-enough")},
		{Name: "EMPTY"}, {Name: "LINE", Bytes: []byte("canary2\n")}, {Name: "WIDE", Bytes: []byte("日本語")},
	})
	if s != nil || !errors.Is(err, ErrShortValue) {
		t.Fatal(s, err)
	}
	for _, want := range []string{`"SHORT"`, `"EMPTY"`, `"LINE"`, `"WIDE"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
	if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "LONG") {
		t.Errorf("%q says too much", err)
	}
}

func TestScrubberForms(t *testing.T) {
	t.Parallel()
	for _, value := range [][]byte{[]byte("12345678"), []byte("12345678\n"), randomBytes(100), []byte("a/b+c=d&e<f>\"g'\n日本")} {
		seen := map[string]bool{}
		for _, form := range forms(value) {
			if len(form) < MinScrub || seen[string(form)] {
				t.Errorf("form %q is short or occurs twice", form)
			}
			seen[string(form)] = true
		}
	}
	t.Run("bytes that are not text have no text forms", func(t *testing.T) {
		t.Parallel()
		s := newScrubber(t, "\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8")
		for _, name := range []string{"as it is", "hex", "base64", "percent in full", "percent by PathEscape"} {
			if got := s.String(encoders[name]("\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8"), nil); got != testMask {
				t.Errorf("%s: %q", name, got)
			}
		}
		if got := strings.Repeat(`�`, 8); s.String(got, nil) != got {
			t.Error("found where only replacement characters are")
		}
	})
}

func TestScrubberTakesTheLeftmostLongest(t *testing.T) {
	t.Parallel()
	s, err := NewScrubber([]Value{
		{"OLD", "<old>", []byte("secret-value")}, {"NEW", "<new>", []byte("secret-value-2")},
		{"SAME", "<same>", []byte("secret-value")}, {"OVER", "<over>", []byte("value-2-and-on")},
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	got := s.String("secret-value secret-value-2 secret-value-2-and-on value-2-and-on", func(name string) { names = append(names, name) })
	if got != "<old> <new> <new>-and-on <over>" || !slices.Equal(names, []string{"OLD", "NEW", "NEW", "OVER"}) {
		t.Fatal(got, names)
	}
	if name, ok := s.Find([]byte("x secret-value-2")); name != "NEW" || !ok {
		t.Fatal(name, ok)
	}
}
