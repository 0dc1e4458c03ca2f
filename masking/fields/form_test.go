package fields

import (
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
)

const secretForm = "s%22e%5Cc%2Fr%26e%3Dt+%2B%25%0A%01%C3%A9%E2%80%A8%3C"

func TestFormEdits(t *testing.T) {
	t.Parallel()
	all := Selection{Credential: true, Names: []string{"name", "a b&c", ""}, Pointers: []string{"/ptr"}}
	for _, c := range []struct{ name, in, want string }{
		{"a credential name", "grant_type=x&client_secret=M&z=", "grant_type=x&client_secret=S&z="},
		{"the last field", "a=b&token=M", "a=b&token=S"},
		{"the only field", "token=M", "token=S"},
		{"several", "token=M&secret=M&name=M", "token=S&secret=S&name=S"},
		{"embedded", "name=a+b%2Bc+M%0d", "name=a+b%2Bc+S%0D"},
		{"an escaped name", "t%6fken=M&a+b%26c=M", "t%6fken=S&a+b%26c=S"},
		{"an escaped mask", "token=%6B" + mask[1:], "token=S"},
		{"the empty name", "=M", "=S"},
		{"an equals sign in the value", "name=x=M", "name=x%3DS"},
		{"empty fields", "&&token=M&&", "&&token=S&&"},
		{"empty fields are not fields of the empty name", "&=M&&", "&=S&&"},
		{"an unselected field", "prompt=M&tokens=M", "prompt=M&tokens=M"},
		{"a pointer selects nothing", "ptr=M&%2Fptr=M", "ptr=M&%2Fptr=M"},
		{"no semicolon splits", "a=b;token=M&secret=M", "a=b;token=M&secret=S"},
		{"no semicolon begins a name", "x;token=M", "x;token=M"},
		{"a name without a value", "token&M&token", "token&M&token"},
		{"a badly escaped value", "token=M%&secret=M%4&password=M%zz&name=M%4&token_=M", "token=M%&secret=M%4&password=M%zz&name=M%4&token_=S"},
		{"a badly escaped value at the end", "token=M%4", "token=M%4"},
		{"a badly escaped name", "t%oken=M&%=M&token%=M&%zztoken=M&token%4=M", "t%oken=M&%=M&token%=M&%zztoken=M&token%4=M"},
		{"bytes of all kinds", "\x00\xff=\r\n&token=M\xff", "\x00\xff=\r\n&token=S%FF"},
		{"no input", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := strings.ReplaceAll(c.in, "M", mask)
			want := strings.ReplaceAll(strings.ReplaceAll(c.want, "M", mask), "S", secretForm)
			o := options(t, Form, all)
			if strings.Contains(c.name, "a value") || strings.Contains(c.name, "badly") {
				o.Selector = selector(t, Selection{Credential: true, Names: []string{"t%oken", "%", "token%", "%zztoken", "token%4", "\x00ztoken"}})
			}
			expect(t, in, want, o)
		})
	}
	t.Run("a value that the editor leaves keeps its spelling", func(t *testing.T) {
		t.Parallel()
		in := "token=%6b%7a+x"
		expect(t, in, in, options(t, Form, all))
	})
	t.Run("a long name", func(t *testing.T) {
		t.Parallel()
		long := "token" + strings.Repeat("_", 251)
		in := long + "_=" + mask + "&" + long + "=" + mask + "&" + strings.Repeat("n", 100_000) + "=" + mask
		want := long + "_=" + mask + "&" + long + "=" + secretForm + "&" + strings.Repeat("n", 100_000) + "=" + mask
		expect(t, in, want, options(t, Form, all))
		r := newReader(t, strings.NewReader(strings.Repeat("n", 1<<20)), options(t, Form, all))
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Fatal(err)
		}
		if n := cap(r.lex.(*formLexer).name); n > 1024 {
			t.Errorf("name buffer has grown to %d bytes", n)
		}
	})
}

func TestFormEncodingIsReadByEveryone(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		v := string([]byte{'a', byte(c), 'z'})
		enc := string(encodeForm(nil, []byte(v)))
		got, err := url.ParseQuery("k=" + enc)
		if err != nil || got.Get("k") != v {
			t.Errorf("%q: encoded %q: read as %q, %v", v, enc, got.Get("k"), err)
		}
		if back, ok := decodeForm(nil, []byte(enc)); !ok || string(back) != v {
			t.Errorf("%q: encoded %q: decoded %q, %v", v, enc, back, ok)
		}
	}
}

func TestFormOffersFields(t *testing.T) {
	t.Parallel()
	got, values := offered(t, "a=1&Api_Key=2%2B&name=+&token", options(t, Form, Selection{Credential: true, Names: []string{"name"}}))
	want := []Field{{Name: "Api_Key", Top: true}, {Name: "name", Top: true}}
	if !slices.Equal(got, want) || !slices.Equal(values, []string{"2+", " "}) {
		t.Errorf("got %+v %q", got, values)
	}
}

func TestFormAmbiguity(t *testing.T) {
	t.Parallel()
	all := Selection{Credential: true, Names: []string{"name"}}
	for _, c := range []struct{ name, in, before, place string }{
		{"the first holds a mask", "token=M&x=y&token=z", "token=S&x=y&token", "token"},
		{"the second does", "token=z&token=M", "token=z&token=", "token"},
		{"the other is empty", "name=M&name=", "name=S&name", "name"},
		{"the other has no value", "name=M&name", "name=S&name", "name"},
		{"the other has no value, first", "name&name=M", "name&name=", "name"},
		{"the other has no value, amid", "name=M&name&x=y", "name=S&name", "name"},
		{"spelt with escapes", "name=M&n%61me=", "name=S&n%61me", "name"},
		{"one is badly escaped", "name=M%&name=", "name=M%&name", "name"},
		{"one is badly escaped, later", "name=&name=M%", "name=&name=", "name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := strings.ReplaceAll(c.in, "M", mask)
			before := strings.ReplaceAll(strings.ReplaceAll(c.before, "S", secretForm), "M", mask)
			expectAmbiguous(t, in, before, Field{Name: c.place, Top: true}, options(t, Form, all))
		})
	}
	t.Run("other repetitions are not ambiguous", func(t *testing.T) {
		t.Parallel()
		in := "x=" + mask + "&x=" + mask + "&name=1&name=2&api_key=" + mask + "&apiKey=" + mask
		want := "x=" + mask + "&x=" + mask + "&name=1&name=2&api_key=" + secretForm + "&apiKey=" + secretForm
		expect(t, in, want, options(t, Form, all))
	})
	t.Run("spellings beyond the bound are not edited", func(t *testing.T) {
		t.Parallel()
		var in, want strings.Builder
		for i := range 200 {
			name := "secret" + strings.Repeat("-", i)
			fmt.Fprintf(&in, "%s=%s&", name, mask)
			if i < maxSpellings {
				fmt.Fprintf(&want, "%s=%s&", name, secretForm)
			} else {
				fmt.Fprintf(&want, "%s=%s&", name, mask)
			}
		}
		expect(t, in.String(), want.String(), options(t, Form, all))
	})
}
