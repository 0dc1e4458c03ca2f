package proxy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"kz/proxy/audit"
)

func TestAMaskInAHeaderIsSwappedAndTheEchoMasked(t *testing.T) {
	t.Parallel()
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("h2 %v", h2), func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			b.client = b.newClient(h2)
			for _, header := range []string{"Authorization: Bearer ", "X-Api-Key: ", "Authorization: token "} {
				a := b.do(b.request("GET", "https://api.test/v1/x?y=1", "", header+b.mask("KEY")))
				name, prefix, _ := strings.Cut(header, ": ")
				if got := b.upstreamGot().r.Header.Get(name); got != prefix+keyValue {
					t.Errorf("%s: the upstream received %q", header, got)
				}
				if !strings.Contains(a.body, prefix+b.mask("KEY")) || a.StatusCode != 200 {
					t.Errorf("%s: no mask in the echo: %s", header, a.body)
				}
				if h2 != (a.ProtoMajor == 2) {
					t.Errorf("the client spoke %s", a.Proto)
				}
			}
			e := b.event(func(e audit.Event) bool { return e.Kind == audit.Request })
			if len(e.Swapped) != 1 || e.Swapped[0] != (audit.Swapped{Secret: "KEY", Place: "header"}) || len(e.Scrubbed) != 2 ||
				e.Host != "api.test" || e.Port != 443 || e.Path != "/v1/x" || e.Status != 200 || e.Method != "GET" || e.BytesIn == 0 {
				t.Errorf("the event is %+v", e)
			}
		})
	}
}

func TestBasicIsDecodedAndEncodedAgain(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for _, c := range [][2]string{{"user", b.mask("KEY")}, {b.mask("KEY"), "x-oauth-basic"}, {b.mask("KEY"), ""}, {b.mask("KEY"), b.mask("KEY")}} {
		r := b.request("GET", "https://api.test/", "")
		r.SetBasicAuth(c[0], c[1])
		a := b.do(r)
		user, password, _ := b.upstreamGot().r.BasicAuth()
		want := strings.NewReplacer(b.mask("KEY"), keyValue)
		if user != want.Replace(c[0]) || password != want.Replace(c[1]) {
			t.Errorf("the upstream received %q %q", user, password)
		}
		if strings.Contains(a.body, basic(user, password)) {
			t.Errorf("the echo holds the encoded value: %s", a.body)
		}
	}
	r := b.request("GET", "https://api.test/", "")
	r.SetBasicAuth("user", "x"+b.mask("KEY"))
	b.refused(b.do(r), 403, "place_not_declared")
	b.nothingSent()
}

func TestBodiesAreSwappedWithTheRightLength(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	mask := b.mask("KEY")
	form := url.Values{"client_secret": {mask}, "note": {"about " + mask}}.Encode()
	var mp bytes.Buffer
	mw := multipart.NewWriter(&mp)
	_ = mw.WriteField("api-key", mask)
	_ = mw.WriteField("note", mask)
	_ = mw.Close()
	for _, c := range []struct{ name, contentType, body, want string }{
		{"JSON", "application/json", `{"client_secret":"` + mask + `", "prompt":"say ` + mask + ` aloud"}`, `{"client_secret":"` + keyValue + `", "prompt":"say ` + mask + ` aloud"}`},
		{"vendor JSON", "application/vnd.x+json; charset=utf-8", `{"apiKey":"` + mask + `"}`, `{"apiKey":"` + keyValue + `"}`},
		{"nested JSON is left", "application/json", `{"a":{"client_secret":"` + mask + `"}}`, `{"a":{"client_secret":"` + mask + `"}}`},
		{"part of a value is left", "application/json", `{"client_secret":"x` + mask + `"}`, `{"client_secret":"x` + mask + `"}`},
		{"form", "application/x-www-form-urlencoded", form, strings.Replace(form, mask, keyValue, 1)},
		{"multipart", mw.FormDataContentType(), mp.String(), strings.Replace(mp.String(), mask, keyValue, 1)},
		{"text is left", "text/plain", "client_secret=" + mask, "client_secret=" + mask},
	} {
		for _, chunked := range []bool{false, true} {
			r := b.request("POST", "https://api.test/", c.body, "Content-Type: "+c.contentType)
			if chunked {
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(c.body)), -1
			}
			b.do(r)
			got := b.upstreamGot()
			if got.body != c.want {
				t.Errorf("%s: the upstream received %s, want %s", c.name, got.body, c.want)
			}
			if (!chunked || c.name != "text is left") && got.r.ContentLength != int64(len(c.want)) {
				t.Errorf("%s: length %d, want %d", c.name, got.r.ContentLength, len(c.want))
			}
		}
	}
	e := b.event(func(e audit.Event) bool { return len(e.Withheld) > 0 })
	if e.Withheld[0].Secret != "KEY" || e.Withheld[0].Place != "body" {
		t.Errorf("withheld: %+v", e.Withheld)
	}
}

func TestALongBodyIsEditedWhileItIsSent(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	long := strings.Repeat("0123456789abcdef", 1<<17) // 2 MiB
	body := `{"prompt":"` + long + `","token":"` + b.mask("KEY") + `"}`
	b.do(b.request("POST", "https://api.test/", body, "Content-Type: application/json"))
	got := b.upstreamGot()
	if want := strings.Replace(body, b.mask("KEY"), keyValue, 1); got.body != want {
		t.Errorf("the upstream received %d bytes, want %d", len(got.body), len(want))
	}
	if got.r.ContentLength != -1 {
		t.Errorf("length %d", got.r.ContentLength)
	}
}

func TestCodedBodiesAreSwapped(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	fmt.Fprintf(w, `{"token":%q}`, b.mask("KEY"))
	_ = w.Close()
	b.do(b.request("POST", "https://api.test/", z.String(), "Content-Type: application/json", "Content-Encoding: gzip"))
	got := b.upstreamGot()
	zr, err := gzip.NewReader(strings.NewReader(got.body))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(zr)
	if err != nil || string(plain) != fmt.Sprintf(`{"token":%q}`, keyValue) || got.r.ContentLength != int64(len(got.body)) {
		t.Errorf("the upstream received %s, %v, length %d", plain, err, got.r.ContentLength)
	}
	// An unknown coding passes and is recorded.
	b.do(b.request("POST", "https://api.test/", "\x00\x01", "Content-Type: application/json", "Content-Encoding: rot13"))
	if got := b.upstreamGot(); got.body != "\x00\x01" {
		t.Errorf("the upstream received %q", got.body)
	}
	b.event(func(e audit.Event) bool {
		return len(e.Withheld) == 1 && strings.Contains(e.Withheld[0].Reason, "coding")
	})
}

func TestNamedPlaces(t *testing.T) {
	t.Parallel()
	b := newBed(t, keyPlaces("header:X-Sign", "body:user_pw", "body:/auth/0/key", "query:key", "path"))
	m := b.mask("KEY")
	a := b.do(b.request("POST", "https://api.test/a%2Fb/"+m+"/c?z=%7E&key="+m+"&y=1", `{"user_pw":"a `+m+`","auth":[{"key":"`+m+`"}],"token":"`+m+`"}`,
		"X-Sign: v1,key="+m+";x", "Content-Type: application/json"))
	got := b.upstreamGot()
	if want := "/a%2Fb/" + keyValue + "/c?z=%7E&key=" + keyValue + "&y=1"; got.r.RequestURI != want {
		t.Errorf("the URL is %q, want %q", got.r.RequestURI, want)
	}
	if want := `{"user_pw":"a ` + keyValue + `","auth":[{"key":"` + keyValue + `"}],"token":"` + m + `"}`; got.body != want {
		t.Errorf("the body is %s", got.body)
	}
	if want := "v1,key=" + keyValue + ";x"; got.r.Header.Get("X-Sign") != want {
		t.Errorf("the header is %q", got.r.Header.Get("X-Sign"))
	}
	if a.StatusCode != 200 {
		t.Error(a.Status)
	}
	b.refused(b.do(b.request("GET", "https://api.test/", "", "Authorization: Bearer "+m)), 403, "place_not_declared")
	e := b.event(func(e audit.Event) bool { return e.Kind == audit.Request })
	if e.Path != "/a%2Fb/{KEY}/c" {
		t.Errorf("the audit's path is %q", e.Path)
	}
}

func TestAnywhereInABody(t *testing.T) {
	t.Parallel()
	b := newBed(t, keyPlaces("body:*"))
	b.values.Store("KEY", `quo"te\and`+"\nline")
	m := b.mask("KEY")
	encoded, _ := json.Marshal(`quo"te\and` + "\nline")
	b.do(b.request("POST", "https://api.test/", `{"a":["x`+m+`"]}`, "Content-Type: application/json"))
	if got, want := b.upstreamGot().body, `{"a":["x`+string(encoded[1:])+`]}`; got != want {
		t.Errorf("JSON: %s, want %s", got, want)
	}
	b.do(b.request("POST", "https://api.test/", "a="+m, "Content-Type: application/x-www-form-urlencoded"))
	if got, want := b.upstreamGot().body, "a="+url.QueryEscape(`quo"te\and`+"\nline"); got != want {
		t.Errorf("form: %s, want %s", got, want)
	}
	long := strings.Repeat("x", 3<<20)
	b.do(b.request("POST", "https://api.test/", long+m+long, "Content-Type: application/octet-stream"))
	if got, want := b.upstreamGot().body, long+`quo"te\and`+"\nline"+long; got != want {
		t.Errorf("stream: %d bytes, want %d", len(got), len(want))
	}
}

func TestWhatHasNoMaskIsUntouched(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	conn := b.raw("api.test:443", "api.test")
	raw := "POST /a%2Fb/{id}/%7e//x?b=2&a=1&&c=%zz HTTP/1.1\r\nHost: api.test\r\nX-Odd:  v\r\nUser-Agent: u\r\nContent-Length: 4\r\nContent-Type: application/json\r\n\r\n{\"a\""
	a := b.speak(conn, raw)
	got := b.upstreamGot()
	if want := "/a%2Fb/{id}/%7e//x?b=2&a=1&&c=%zz"; got.r.RequestURI != want {
		t.Errorf("the URL became %q", got.r.RequestURI)
	}
	if got.body != `{"a"` || a.StatusCode != 200 || len(got.r.Header) != 4 {
		t.Errorf("%q %d %v", got.body, a.StatusCode, got.r.Header)
	}
	b.do(b.request("GET", "https://api.test/", "", "User-Agent: "))
	if got := b.upstreamGot().r.Header; got.Get("User-Agent") != "" || got.Get("Accept-Encoding") != "" {
		t.Errorf("headers were added: %v", got)
	}
}

func TestHopByHopHeadersEndAtTheProxy(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	conn := b.raw("api.test:443", "api.test")
	b.speak(conn, "GET / HTTP/1.1\r\nHost: api.test\r\nConnection: keep-alive, X-Hop, Authorization\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers, gzip\r\nUpgrade: h2c\r\n"+
		"Proxy-Authorization: Basic xyz\r\nAuthorization: Bearer "+b.mask("KEY")+"\r\nRange: bytes=0-1\r\nIf-Range: x\r\nAccept-Encoding: br;q=0.5, lzma, gzip\r\nMax-Forwards: 1\r\nUser-Agent: u\r\n\r\n")
	h := b.upstreamGot().r.Header
	want := http.Header{"Te": {"trailers"}, "Authorization": {"Bearer " + keyValue}, "Accept-Encoding": {"br;q=0.5, gzip"}, "User-Agent": {"u"}}
	if fmt.Sprint(h) != fmt.Sprint(want) {
		t.Errorf("the upstream received %v, want %v", h, want)
	}
}
