package fields

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// A receiver that reads a field in another charset reads another text than the secret, and what it echoes is not found.
func TestAFieldOfAnotherCharsetIsNotEdited(t *testing.T) {
	t.Parallel()
	all := Selection{Credential: true, Names: []string{"name"}}
	head := func(contentType string) string {
		return "--XX\r\nContent-Disposition: form-data; name=\"token\"\r\nContent-Type: " + contentType + "\r\n\r\nM\r\n"
	}
	for contentType, edited := range map[string]bool{
		"text/plain": true, "text/plain; charset=utf-8": true, `text/plain; charset="UTF-8"`: true, "text/plain;charset=us-ascii": true,
		"text/plain; charset=utf-16le": false, "text/plain; CHARSET=UTF-16": false, `text/plain; charset="utf-7"`: false, "text/plain; charset=base64": false,
		"text/plain; charset*=utf-8": false, "text/plain; charset = utf-16": false, "text/plain; charset=utf-8; charset=utf-16": false, "text/plain; charset=cp037": false,
	} {
		t.Run("a part of "+contentType, func(t *testing.T) {
			t.Parallel()
			in := strings.ReplaceAll(head(contentType)+closing, "M", mask)
			want := in
			if edited {
				want = strings.ReplaceAll(head(contentType)+closing, "M", secret)
			}
			expect(t, in, want, options(t, Multipart, all))
		})
	}
	for name, c := range map[string]struct {
		format Format
		in     string
	}{
		"a form":                   {Form, "_charset_=utf-16&token=M"},
		"a form, the name escaped": {Form, "%5Fcharset_=x&token=M&name=M"},
		"a form of short names":    {Form, "_charset_=&name=M"},
		"a multipart form":         {Multipart, part("_charset_", "utf-16") + part("token", "M") + closing},
	} {
		t.Run(name+" that says its charset first stays as it is", func(t *testing.T) {
			t.Parallel()
			in := strings.ReplaceAll(c.in, "M", mask)
			sel := all
			sel.Credential = !strings.Contains(name, "short")
			expect(t, in, in, options(t, c.format, sel))
		})
	}
	for name, c := range map[string]struct {
		format Format
		in     string
	}{
		"a form":           {Form, "token=M&_charset_=utf-16"},
		"a named field":    {Form, "name=M&_charset_=utf-16"},
		"a multipart form": {Multipart, part("token", "M") + part("_charset_", "utf-16") + closing},
	} {
		t.Run(name+" that says its charset behind a mask is ambiguous", func(t *testing.T) {
			t.Parallel()
			_, err := io.ReadAll(newReader(t, strings.NewReader(strings.ReplaceAll(c.in, "M", mask)), options(t, c.format, all)))
			if !errors.Is(err, ErrAmbiguous) {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("a field with a semicolon is not edited", func(t *testing.T) {
		t.Parallel()
		in := strings.ReplaceAll("name=1;token=M&token=M", "M", mask)
		expect(t, in, strings.Replace(in, "&token="+mask, "&token="+secretForm, 1), options(t, Form, all))
	})
}
