package masking

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"html/template"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
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

// encoders are what servers use: other code than that under test.
var encoders = map[string]func(v string) string{
	"as it is": func(v string) string { return v },
	"JSON by Go": func(v string) string {
		b, _ := json.Marshal(v)
		return string(b[1 : len(b)-1])
	},
	"JSON without HTML escapes": func(v string) string {
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		_ = e.Encode(v)
		return b.String()[1 : b.Len()-2]
	},
	"JSON with escaped slashes": func(v string) string { return strings.ReplaceAll(jsonMinimal(v), "/", `\/`) },
	"JSON in ASCII":             func(v string) string { return jsonASCII(v, "%04x") },
	"JSON in ASCII, upper case": func(v string) string { return jsonASCII(v, "%04X") },
	"JSON by PHP":               func(v string) string { return strings.ReplaceAll(jsonASCII(v, "%04x"), "/", `\/`) },
	"JSON by .NET": func(v string) string {
		return strings.NewReplacer("<", `\u003C`, ">", `\u003E`, "&", `\u0026`, "'", `\u0027`, `\"`, `\u0022`, "+", `\u002B`, "`", `\u0060`).Replace(jsonASCII(v, "%04X"))
	},
	"base64":                 func(v string) string { return base64.StdEncoding.EncodeToString([]byte(v)) },
	"base64 unpadded":        func(v string) string { return base64.RawStdEncoding.EncodeToString([]byte(v)) },
	"base64url":              func(v string) string { return base64.URLEncoding.EncodeToString([]byte(v)) },
	"base64url unpadded":     func(v string) string { return base64.RawURLEncoding.EncodeToString([]byte(v)) },
	"hex":                    func(v string) string { return hex.EncodeToString([]byte(v)) },
	"hex in upper case":      func(v string) string { return strings.ToUpper(hex.EncodeToString([]byte(v))) },
	"percent by QueryEscape": url.QueryEscape,
	"percent by PathEscape":  url.PathEscape,
	"percent, lower case":    func(v string) string { return lowerPercent(url.PathEscape(v)) },
	"percent, RFC 3986":      func(v string) string { return strings.ReplaceAll(url.QueryEscape(v), "+", "%20") },
	"encodeURIComponent": func(v string) string {
		return strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").Replace(url.QueryEscape(v))
	},
	"encodeURI": func(v string) string {
		return strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*", "%3B", ";", "%2C", ",",
			"%2F", "/", "%3F", "?", "%3A", ":", "%40", "@", "%26", "&", "%3D", "=", "%2B", "+", "%24", "$", "%23", "#").Replace(url.QueryEscape(v))
	},
	"form by WHATWG": func(v string) string {
		return strings.NewReplacer("~", "%7E", "%2A", "*").Replace(url.QueryEscape(v))
	},
	"percent in full": func(v string) string {
		var b strings.Builder
		for _, c := range []byte(v) {
			fmt.Fprintf(&b, "%%%02X", c)
		}
		return b.String()
	},
	"percent in full, lower case": func(v string) string {
		var b strings.Builder
		for _, c := range []byte(v) {
			fmt.Fprintf(&b, "%%%02x", c)
		}
		return b.String()
	},
	"HTML by Go":         html.EscapeString,
	"HTML by a template": func(v string) string { return template.HTMLEscapeString(v) },
	"HTML with names": func(v string) string {
		return strings.NewReplacer("&#34;", "&quot;", "&#39;", "&#x27;").Replace(html.EscapeString(v))
	},
	"HTML, text only": func(v string) string { return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(v) },
	"UTF-16LE": func(v string) string {
		var b []byte
		for _, u := range utf16.Encode([]rune(v)) {
			b = append(b, byte(u), byte(u>>8))
		}
		return string(b)
	},
	"UTF-16BE": func(v string) string {
		var b []byte
		for _, u := range utf16.Encode([]rune(v)) {
			b = append(b, byte(u>>8), byte(u))
		}
		return string(b)
	},
}

func jsonMinimal(v string) string {
	var b strings.Builder
	for _, r := range v {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func jsonASCII(v, format string) string {
	var b strings.Builder
	for _, r := range jsonMinimal(v) {
		if r < 0x80 {
			b.WriteRune(r)
			continue
		}
		for _, u := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u`+format, u)
		}
	}
	return b.String()
}

func lowerPercent(v string) string {
	out := []byte(v)
	for i := range out {
		if i+2 < len(out) && out[i] == '%' {
			copy(out[i+1:], bytes.ToLower(out[i+1:i+3]))
		}
	}
	return string(out)
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
		{Name: "EMPTY"}, {Name: "LINE", Bytes: []byte("canary2\n")},
	})
	if s != nil || !errors.Is(err, ErrShortValue) {
		t.Fatal(s, err)
	}
	for _, want := range []string{`"SHORT"`, `"EMPTY"`, `"LINE"`} {
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
