package proxy_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"kz/proxy"
	"kz/proxy/audit"
	"kz/proxy/policy"
)

// hexValue begins with digits: %MASK and its like would make another character of them, and the rest would be echoed.
const hexValue = "41bcdef0-the-rest-of-it"

func withValue(v string) bedOption {
	return func(b *bed, _ *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) { b.values.Store("KEY", v) }
}

func TestNoEscapeOfAClientTakesInAValue(t *testing.T) {
	t.Parallel()
	b := newBed(t, keyPlaces("query:key", "path", "header:X-Sign", "body:note", "body:*"), withValue(hexValue))
	m := b.mask("KEY")
	long := strings.Repeat("x", 2<<20)
	form, json := "Content-Type: application/x-www-form-urlencoded", "Content-Type: application/json"
	for name, r := range map[string]*http.Request{
		"a percent sign in the query":                   b.request("GET", "https://api.test/", ""),
		"an escaped one in the query":                   b.request("GET", "https://api.test/?key=%25"+m, ""),
		"an escaped one and a digit in the path":        b.request("GET", "https://api.test/a/%254"+m, ""),
		"a percent sign in a header":                    b.request("GET", "https://api.test/", "", "X-Sign: a=%"+m),
		"a backslash in a header":                       b.request("GET", "https://api.test/", "", `X-Sign: "a\`+m+`"`),
		"a cut character in a header":                   b.request("GET", "https://api.test/", "", "X-Sign: a\xc3"+m),
		"a character reference in a header":             b.request("GET", "https://api.test/", "", "X-Sign: &#x"+m),
		"a percent sign anywhere in a form":             b.request("POST", "https://api.test/", "a=%"+m, form),
		"a percent sign and a digit anywhere in a form": b.request("POST", "https://api.test/", "a=%4"+m, form),
		"an escaped percent sign in a field":            b.request("POST", "https://api.test/", "note=%25"+m, form),
		"a cut character in a field":                    b.request("POST", "https://api.test/", "note=%C3"+m, form),
		"a backslash anywhere in JSON":                  b.request("POST", "https://api.test/", `{"a":"\`+m+`"}`, json),
		"half an escape anywhere in JSON":               b.request("POST", "https://api.test/", `{"a":"\u00`+m+`"}`, json),
		"half an escape in JSON in JSON":                b.request("POST", "https://api.test/", `{"a":"{\"b\":\"\\u00`+m+`\"}"}`, json),
		"half an escape in a member with JSON":          b.request("POST", "https://api.test/", `{"note":"{\"b\":\"\\u00`+m+`\"}"}`, json),
		"an escaped percent sign in JSON":               b.request("POST", "https://api.test/", `{"a":"\u0025`+m+`"}`, json),
		"a character reference in a text":               b.request("POST", "https://api.test/", "<a>&#"+m, "Content-Type: text/xml"),
	} {
		if name == "a percent sign in the query" {
			r.URL.RawQuery = "key=%" + m
		}
		a := b.do(r)
		if e := b.refused(a, 400, "request_invalid"); e.Secret != "KEY" || !strings.Contains(e.Message, "escape") {
			t.Errorf("%s: %+v", name, e)
		}
		if a.StatusCode != 400 {
			t.Errorf("%s: %d", name, a.StatusCode)
		}
	}
	b.nothingSent()
	// A long body has been begun when its mask comes.
	for _, end := range []string{`{"a":"` + long + `\u00` + m + `"}`, `{"a":"` + long + `\u0` + m + `"}`} {
		if resp, err := b.client.Do(b.request("POST", "https://api.test/", end, json)); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode != 400 {
				t.Errorf("a long body: %d", resp.StatusCode)
			}
		}
	}
	// What is complete takes in nothing.
	for before, body := range map[string]string{`%41`: "a=%41" + m, `100 `: "a=100 " + m, `%25 `: "a=%25 " + m} {
		if a := b.do(b.request("POST", "https://api.test/", body, form)); a.StatusCode != 200 {
			t.Errorf("%q: %s", before, a.body)
			continue
		}
		if got := b.upstreamGot().body; !strings.HasSuffix(got, url.QueryEscape(hexValue)) {
			t.Errorf("%q: the upstream received %q", before, got)
		}
	}
	for _, before := range []string{`\n`, `\u0041`, `\"`, "é", `&amp;`, "%41", `a: `} {
		if a := b.do(b.request("POST", "https://api.test/", `{"a":"`+before+m+`"}`, json)); a.StatusCode != 200 {
			t.Errorf("%q: %s", before, a.body)
			continue
		}
		if got := b.upstreamGot().body; got != `{"a":"`+before+hexValue+`"}` {
			t.Errorf("%q: the upstream received %q", before, got)
		}
	}
}

func TestABoundaryTellsNothingOfAValueAnywhereInABody(t *testing.T) {
	t.Parallel()
	b := newBed(t, keyPlaces("body:*"))
	for _, kind := range []string{"multipart/form-data", "multipart/mixed", "Multipart/Related"} {
		for _, guess := range []string{"x", keyValue[:1], keyValue[:5], keyValue} {
			for _, before := range []string{"--", "-", "--B"} {
				boundary := strings.TrimPrefix(before, "--")
				if before == "-" {
					boundary = ""
				}
				boundary += guess
				body := "--" + boundary + "\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\na\r\n" + before + b.mask("KEY") + "\r\n--" + boundary + "--\r\n"
				b.refused(b.do(b.request("POST", "https://api.test/", body, "Content-Type: "+kind+"; boundary="+boundary)), 400, "request_invalid")
			}
		}
	}
	b.nothingSent()
	body := "--B\r\n\r\n- --" + b.mask("KEY") + "\r\n--B--\r\n"
	if a := b.do(b.request("POST", "https://api.test/", body, "Content-Type: multipart/mixed; boundary=B")); a.StatusCode != 200 {
		t.Errorf("%s", a.body)
	}
	if got := b.upstreamGot().body; got != strings.Replace(body, b.mask("KEY"), keyValue, 1) {
		t.Errorf("the upstream received %q", got)
	}
}

func TestABodyThatIsReadInTwoWaysIsNotSwapped(t *testing.T) {
	t.Parallel()
	for _, places := range [][]string{{"body"}, {"body:*"}} {
		b := newBed(t, keyPlaces(places...))
		m := b.mask("KEY")
		form := "token=" + m
		parts := func(head string) string {
			return "--B\r\nContent-Disposition: form-data; name=\"token\"\r\n" + head + "\r\n" + m + "\r\n--B--\r\n"
		}
		for _, c := range [][2]string{
			{"application/x-www-form-urlencoded; charset=utf-16", form}, {"application/x-www-form-urlencoded; charset=cp037", form}, {"application/x-www-form-urlencoded; charset=gbk", form},
			{"application/json; charset=utf-7", `{"token":"` + m + `"}`}, {`application/json; charset="UTF-16LE"`, `{"token":"` + m + `"}`},
			{"multipart/form-data; boundary=B; charset=utf-16", parts("")}, {"multipart/form-data; boundary*=utf-8''B", parts("")},
			{"multipart/form-data; boundary*0=B", parts("")}, {`multipart/form-data; x="; boundary=C"; boundary=B`, parts("")}, {`multipart/form-data; boundary="\B"`, parts("")},
			{"multipart/form-data; boundary=B; boundary=C", parts("")}, {"application/json, text/plain", `{"token":"` + m + `"}`},
		} {
			if a := b.do(b.request("POST", "https://api.test/", c[1], "Content-Type: "+c[0])); a.StatusCode != 200 {
				t.Errorf("%s: %s", c[0], a.body)
				continue
			}
			if got := b.upstreamGot().body; got != c[1] {
				t.Errorf("%v %s: the upstream received %q", places, c[0], got)
			}
		}
		for _, e := range b.audit.Events() {
			if e.Kind == audit.Request && (len(e.Withheld) == 0 || len(e.Swapped) > 0) {
				t.Errorf("%+v", e)
			}
		}
		// The usual spellings are one.
		for _, kind := range []string{"multipart/form-data; boundary=B", `multipart/form-data; Boundary="B"`, "multipart/form-data; charset=utf-8; boundary=B"} {
			b.do(b.request("POST", "https://api.test/", parts("Content-Type: text/plain; charset=UTF-8\r\n"), "Content-Type: "+kind))
			if got := b.upstreamGot().body; !strings.Contains(got, keyValue) {
				t.Errorf("%s: the upstream received %q", kind, got)
			}
		}
	}
	b := newBed(t)
	for _, body := range []string{"_charset_=utf-16&token=" + b.mask("KEY"), "token=1;x=" + b.mask("KEY")} {
		b.do(b.request("POST", "https://api.test/", body, "Content-Type: application/x-www-form-urlencoded"))
		if got := b.upstreamGot().body; got != body {
			t.Errorf("the upstream received %q", got)
		}
	}
	part := fmt.Sprintf("--B\r\nContent-Disposition: form-data; name=\"token\"\r\nContent-Type: text/plain; charset=utf-16le\r\n\r\n%s\r\n--B--\r\n", b.mask("KEY"))
	b.do(b.request("POST", "https://api.test/", part, "Content-Type: multipart/form-data; boundary=B"))
	if got := b.upstreamGot().body; got != part {
		t.Errorf("a part in UTF-16: the upstream received %q", got)
	}
}
