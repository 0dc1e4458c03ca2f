package proxy

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"kz/masking"
	"kz/proxy/policy"
	"kz/resolver"
)

// formValues are values of many kinds: each character that an encoder may escape, line breaks, the least length, a long one,
// one inside another, and one that masks have in them.
var formValues = map[string]string{
	"MARKS": `p"a's/s%w+o=r\d & <b>~?`,
	"WIDE":  "schlüssel-ß-日本-𝄞",
	"LINES": "-----BEGIN KEY-----\nMIIB+VQ/IBA==\n-----END KEY-----\n",
	"LEAST": "k8-Ab3dE",
	"LONG":  longValue(),
	"INNER": "inner-secret-77",
	"OUTER": "outer-inner-secret-77-end",
	"PART":  "z_masked",
}

// longValue is of 4 KiB.
func longValue() string {
	var b strings.Builder
	for i := 0; b.Len() < 4<<10; i++ {
		fmt.Fprintf(&b, "%d+/", i*i*7919)
	}
	return b.String()
}

// formsOf is value in each form that the contract names, made by other encoders than the scrubber's.
func formsOf(t *testing.T, value string) map[string]string {
	value = strings.TrimSuffix(value, "\n") // a file's, not the value's
	all := map[string]string{"as it is": value}
	encode := func(escape bool) string {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(escape)
		if err := enc.Encode(value); err != nil {
			t.Fatal(err)
		}
		return strings.Trim(strings.TrimSuffix(b.String(), "\n"), `"`)
	}
	all["in JSON"], all["in JSON, as Go has it"] = encode(false), encode(true)
	all["in JSON, as PHP has it"] = strings.ReplaceAll(encode(false), "/", `\/`)
	all["in JSON in JSON"] = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(encode(false))
	each := func(format string) string {
		var b strings.Builder
		for _, u := range utf16.Encode([]rune(value)) {
			fmt.Fprintf(&b, format, u)
		}
		return b.String()
	}
	all["in JSON, all of it"] = each(`\u%04x`)
	runes := func(format string) string {
		var b strings.Builder
		for _, r := range value {
			fmt.Fprintf(&b, format, r)
		}
		return b.String()
	}
	all["in HTML"], all["in HTML, all of it"], all["in HTML, all in hex"] = html.EscapeString(value), runes("&#%d;"), runes("&#x%x;")
	bytewise := func(format string) string {
		var b strings.Builder
		for i := range len(value) {
			fmt.Fprintf(&b, format, value[i])
		}
		return b.String()
	}
	all["in percent, all of it"], all["in percent, lower"] = bytewise("%%%02X"), bytewise("%%%02x")
	all["in a path"], all["in a form"] = url.PathEscape(value), url.QueryEscape(value)
	all["in a component"] = strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
	all["in hex"], all["in HEX"] = hex.EncodeToString([]byte(value)), strings.ToUpper(hex.EncodeToString([]byte(value)))
	for name, order := range map[string]binary.AppendByteOrder{"little": binary.LittleEndian, "big": binary.BigEndian} {
		var b []byte
		for _, u := range utf16.Encode([]rune(value)) {
			b = order.AppendUint16(b, u)
		}
		all["in UTF-16, "+name] = string(b)
	}
	for name, alphabet := range map[string]*base64.Encoding{"standard": base64.StdEncoding, "URL": base64.URLEncoding} {
		for before := range 3 {
			all[fmt.Sprintf("in base64, %s, %d before", name, before)] = alphabet.EncodeToString([]byte("xy"[:before] + value + "zz"[:before]))
		}
		all["in base64, "+name+", with a line break"] = alphabet.EncodeToString([]byte(value + "\n"))
	}
	return all
}

// formsProxy knows those values.
func formsProxy(t *testing.T, values map[string]string) (*Proxy, *destination) {
	t.Helper()
	host, err := policy.ParseHostPattern("api.test")
	if err != nil {
		t.Fatal(err)
	}
	var entries []masking.Entry
	var secrets []policy.Secret
	for _, name := range slices.Sorted(maps.Keys(values)) {
		entries = append(entries, masking.Entry{Name: name})
		secrets = append(secrets, policy.Secret{Name: name, Hosts: []policy.HostPattern{host}, Places: policy.DefaultPlaces()})
	}
	table, err := masking.NewTable(masking.Key{3}, entries)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{opts: Options{Table: table}}
	for name, value := range values {
		if err := p.Learn(name, resolver.NewSecret(value)); err != nil {
			t.Fatal(err)
		}
	}
	return p, newDestination(policy.New(secrets, policy.Egress{}).Scope(policy.Authority{Host: "api.test", Port: 443}), "https")
}

// answerPath is one way of a body through the proxy.
type answerPath struct {
	name   string
	coding string
	length func(coded int) int64
	fills  bool // the length stays
}

var answerPaths = []answerPath{
	{name: "held", length: func(n int) int64 { return int64(n) }},
	{name: "of a length that is not held", length: func(int) int64 { return maxHeld + 1 }, fills: true},
	{name: "without a length", length: func(int) int64 { return -1 }},
	{name: "gzip, held", coding: "gzip", length: func(n int) int64 { return int64(n) }},
	{name: "gzip", coding: "gzip", length: func(int) int64 { return -1 }},
	{name: "deflate", coding: "deflate", length: func(int) int64 { return -1 }},
	{name: "br", coding: "br", length: func(int) int64 { return -1 }},
	{name: "zstd", coding: "zstd", length: func(int) int64 { return -1 }},
}

// carry takes a body that src gives to the client.
func (a *answerPath) carry(t *testing.T, p *Proxy, scope *destination, src io.Reader, size int) string {
	t.Helper()
	x := newExchange(p)
	x.scope, x.scrub, x.w = scope, p.scrubbers(), &x.writer
	x.w.x = x
	resp := &http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: io.NopCloser(src), ContentLength: a.length(size)}
	if resp.ContentLength < 0 {
		resp.TransferEncoding = []string{"chunked"}
	}
	if a.coding != "" {
		resp.Header["Content-Encoding"] = []string{a.coding}
	}
	if ref := x.receive(resp, &http.Request{Method: http.MethodGet, Header: http.Header{}}); ref != nil {
		t.Fatal(ref)
	}
	var out bytes.Buffer
	if _, err := io.Copy(&out, resp.Body); err != nil || x.aborted != nil {
		t.Fatal(a.name, size, err, x.aborted)
	}
	_ = resp.Body.Close()
	return out.String()
}

// cuts are the places where a body of n bytes is cut in two: all, of one that is not very long, and is not read whole before
// anything is done with it.
func (a *answerPath) cuts(n int) (at []int) {
	every := 1
	if strings.HasSuffix(a.name, "held") && !a.fills {
		every = 13
	}
	for i := 0; i <= n; i += every {
		if n < 500 || i < 5 || i > n-5 || i%2003 == 0 {
			at = append(at, i)
		}
	}
	return at
}

func TestEveryFormIsScrubbedHoweverTheAnswerIsCut(t *testing.T) {
	t.Parallel()
	p, scope := formsProxy(t, formValues)
	for name, value := range formValues {
		mask := p.opts.Table.Token(name)
		for form, text := range formsOf(t, value) {
			for _, path := range answerPaths {
				if name == "LONG" && path.name == "held" {
					continue
				}
				if path.coding != "" && name != "MARKS" {
					continue // what comes out of a decoder is cut like any other
				}
				what := fmt.Sprintf("%s %s, %s", name, form, path.name)
				body := []byte("before " + text + " after")
				if path.coding != "" {
					body = encodedBy(t, path.coding, body)
				}
				whole := path.carry(t, p, scope, bytes.NewReader(body), len(body))
				if want := scrubbedForm(text, form, value, mask, path.fills); !slices.Contains(want, whole) {
					t.Errorf("%s: %.200q, want one of %.200q", what, whole, want)
					continue
				}
				one := 1
				if len(body) > 2000 {
					one = 1009
				}
				if got := path.carry(t, p, scope, &inReads{body, one}, len(body)); got != whole {
					t.Errorf("%s, %d bytes at a time: %.200q", what, one, got)
				}
				for _, at := range path.cuts(len(body)) {
					if got := path.carry(t, p, scope, io.MultiReader(bytes.NewReader(body[:at]), bytes.NewReader(body[at:])), len(body)); got != whole {
						t.Fatalf("%s, cut at %d: %.200q", what, at, got)
					}
				}
			}
		}
	}
}

// scrubbedForm is what may become of text between two words. Of base64, the digits that a neighbour has a part in stay.
func scrubbedForm(text, form, value, mask string, fills bool) (all []string) {
	begin, ends := 0, []int{len(text)}
	if strings.Contains(form, "base64") {
		before := strings.Count(form, "1 before") + 2*strings.Count(form, "2 before")
		begin = (before*8 + 5) / 6
		last := (before + len(strings.TrimSuffix(value, "\n"))) * 8 / 6
		ends = append(ends, last, min(last+1, len(text))) // a neighbour may have nothing but zeros in a digit
	}
	for _, end := range ends {
		put := mask
		if fills {
			put = (mask + strings.Repeat("_", len(text)))[:end-begin]
		}
		all = append(all, "before "+text[:begin]+put+text[end:]+" after")
	}
	return all
}

func TestEveryFormIsScrubbedFromHeadersAndTrailers(t *testing.T) {
	t.Parallel()
	values := maps.Clone(formValues)
	delete(values, "PART") // trailers are looked at twice, and masks have it in them
	p, scope := formsProxy(t, values)
	for name, value := range values {
		for form, text := range formsOf(t, value) {
			if strings.ContainsAny(text, "\x00\r\n") {
				continue // no header has those
			}
			x := newExchange(p)
			x.scope, x.scrub, x.w = scope, p.scrubbers(), &x.writer
			resp := &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{}, Trailer: http.Header{"X-End": {"1", "before " + text + " after"}}}
			for _, header := range []string{"Location", "Link", "Set-Cookie", "Www-Authenticate", "Etag", "Content-Type", "X-Other"} {
				resp.Header[header] = []string{"1", "before " + text + " after"}
			}
			if ref := x.receive(resp, &http.Request{Method: http.MethodGet, Header: http.Header{}}); ref != nil {
				t.Fatal(ref)
			}
			want := scrubbedForm(text, form, value, p.opts.Table.Token(name), false)
			for header, got := range resp.Header {
				if got[0] != "1" || !slices.Contains(want, got[1]) {
					t.Errorf("%s %s in %s: %.200q", name, form, header, got)
				}
			}
			if got := resp.Trailer["X-End"]; got[0] != "1" || !slices.Contains(want, got[1]) {
				t.Errorf("%s %s in a trailer: %.200q", name, form, got)
			}
		}
	}
}
