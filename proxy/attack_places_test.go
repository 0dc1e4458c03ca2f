package proxy_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"kz/proxy/audit"
	"kz/resolver"
)

// The headers that a server, or something on the way to it, echoes, logs or answers with something made of them.
func TestReflectedHeadersAreNeverSwapped(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for _, name := range []string{"Cookie", "Referer", "Origin", "User-Agent", "Via", "Forwarded", "X-Forwarded-For", "X-Forwarded-Anything", "Accept", "Accept-Language", "If-Match", "If-None-Match",
		"If-Modified-Since", "Traceparent", "Baggage", "X-B3-Traceid", "X-Request-Id", "X-Correlation-Id", "X-Amzn-Trace-Id", "Sentry-Trace", "X-Client-Ip", "True-Client-Ip",
		"Sec-Websocket-Key", "Sec-Websocket-Protocol", "Sec-Fetch-Site", "Access-Control-Request-Headers", "Content-Type", "Content-Language", "X-Original-Url", "X-Http-Method-Override"} {
		a := b.do(b.request("POST", "https://api.test/", "x", name+": "+b.mask("KEY")))
		if a.StatusCode != 200 {
			t.Errorf("%s: %s", name, a.body)
			continue
		}
		if got := b.upstreamGot().r.Header.Get(name); got != b.mask("KEY") {
			t.Errorf("%s: the upstream received %q", name, got)
		}
		b.event(func(e audit.Event) bool {
			return len(e.Swapped) == 0 && len(e.Withheld) == 1 && e.Withheld[0].Place == "header:"+name
		})
	}
}

func TestMethodsThatEchoAreRefused(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	key := "X-Key: " + b.mask("KEY")
	for _, h2 := range []bool{false, true} {
		b.client = b.newClient(h2)
		for _, method := range []string{"TRACE", "trace", "Trace", "TRACK", "track"} {
			b.refused(b.do(b.request(method, "https://api.test/", "", key)), 405, "method_refused")
		}
		for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
			for _, method := range []string{"TRACE", "track", "Connect"} {
				b.refused(b.do(b.request("POST", "https://api.test/", "", key, name+": "+method)), 405, "method_refused")
			}
			if a := b.do(b.request("POST", "https://api.test/", "", key, name+": PATCH")); a.StatusCode != 200 {
				t.Errorf("%s: PATCH: %d", name, a.StatusCode)
			}
			b.upstreamGot()
		}
	}
	if a := b.speak(b.raw("api.test:443", "api.test"), "connect other.test:443 HTTP/1.1\r\nHost: api.test\r\n"+key+"\r\n\r\n"); a.StatusCode/100 != 4 {
		t.Errorf("connect: %d", a.StatusCode)
	}
	b.nothingSent()
}

func TestBasicInOddFormsIsNotRead(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	whole := basic("u", b.mask("KEY")) // one byte of padding
	if !strings.HasSuffix(whole, "=") {
		t.Fatal("the test needs padding")
	}
	for name, v := range map[string]string{
		"without padding": "Basic " + strings.TrimRight(whole, "="), "too much padding": "Basic " + whole + "=", "a space inside": "Basic " + whole[:20] + " " + whole[20:],
		"a tab before": "Basic\t" + whole, "no colon": "Basic " + base64.StdEncoding.EncodeToString([]byte(b.mask("KEY"))),
		"bits that count for nothing": "Basic " + strings.TrimSuffix(whole, whole[len(whole)-2:]) + string(whole[len(whole)-2]+1) + "=",
	} {
		a := b.do(b.request("GET", "https://api.test/", "", "Authorization: "+v))
		if a.StatusCode != 200 {
			t.Errorf("%s: %s", name, a.body)
			continue
		}
		if got := b.upstreamGot().r.Header.Get("Authorization"); got != v {
			t.Errorf("%s: the upstream received %q", name, got)
		}
	}
	for range 6 {
		b.event(func(e audit.Event) bool { return len(e.Withheld) == 1 && e.Withheld[0].Place == "basic" })
	}
	if n := len(b.audit.Events()); n != 6 {
		t.Errorf("%d events", n)
	}
	for _, e := range b.audit.Events() {
		if len(e.Withheld) != 1 || e.Withheld[0].Secret != "KEY" {
			t.Errorf("%+v", e)
		}
	}
	// The scheme has no case, and credentials that follow several spaces are the same.
	for _, v := range []string{"basic " + whole, "BASIC  " + whole} {
		b.do(b.request("GET", "https://api.test/", "", "Authorization: "+v))
		if _, password, _ := b.upstreamGot().r.BasicAuth(); password != keyValue {
			t.Errorf("%q: the upstream received %q", v, password)
		}
	}
}

func TestMasksInOtherSpellingsAreReported(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	m := b.mask("KEY")
	b64 := base64.StdEncoding.EncodeToString([]byte("user:" + m))
	for name, r := range map[string]*http.Request{
		"base64 in a header":      b.request("GET", "https://api.test/", "", "X-Auth: Basic "+b64),
		"base64 in the query":     b.request("GET", "https://api.test/?a="+b64, ""),
		"base64 in the path":      b.request("GET", "https://api.test/"+strings.TrimRight(b64, "="), ""),
		"base64 in JSON":          b.request("POST", "https://api.test/", `{"data":{"password":"`+b64+`"}}`, "Content-Type: application/json"),
		"percent in JSON":         b.request("POST", "https://api.test/", `{"url":"`+strings.ReplaceAll(m, "_", "%5F")+`"}`, "Content-Type: application/json"),
		"HTML":                    b.request("POST", "https://api.test/", strings.ReplaceAll(m, "_", "&#95;"), "Content-Type: text/html"),
		"JSON in another member":  b.request("POST", "https://api.test/", `{"note":"`+strings.ReplaceAll(m, "_", `\u005f`)+`"}`, "Content-Type: application/json"),
		"base64 in a text":        b.request("POST", "https://api.test/", b64, "Content-Type: text/plain"),
		"base64 in a long stream": b.request("POST", "https://api.test/", strings.Repeat("x", 2<<20)+b64, "Content-Type: application/octet-stream"),
	} {
		before := len(b.audit.Events())
		if a := b.do(r); a.StatusCode != 200 {
			t.Errorf("%s: %s", name, a.body)
			continue
		}
		b.upstreamGot()
		b.event(func(audit.Event) bool { return len(b.audit.Events()) > before })
		if e := b.audit.Events()[before]; len(e.Withheld) != 1 || e.Withheld[0].Secret != "KEY" || len(e.Swapped) != 0 {
			t.Errorf("%s: %+v", name, e)
		}
	}
	b.refused(b.do(b.request("GET", "https://api.test/", "", `X-Json: {"k":"\u006b`+m[1:]+`"}`)), 403, "place_not_declared")
	b.refused(b.do(b.request("GET", "https://api.test/?key=%zz%6b"+m[1:], "")), 403, "place_not_declared")
	b.nothingSent()
}

func TestAParameterIsOneToEveryReceiver(t *testing.T) {
	t.Parallel()
	b := newBed(t, keyPlaces("query:key", "query:a"))
	m := b.mask("KEY")
	for _, query := range []string{"a=1;key=" + m, "key=" + m + "&x=1;key=2", "x;key=1&key=" + m, "key=" + m + ";x", "key=" + m + "&key=2", "key=" + m + "&k%65y=2", "key=%zz" + m, "key=" + m + m} {
		r := b.request("GET", "https://api.test/", "")
		r.URL.RawQuery = query
		b.refused(b.do(r), 400, "request_invalid")
	}
	b.nothingSent()
	b.do(b.request("GET", "https://api.test/?x=1;y=2&key="+m+"&z=a;b", ""))
	if got := b.upstreamGot().r.RequestURI; got != "/?x=1;y=2&key="+keyValue+"&z=a;b" {
		t.Errorf("the upstream received %q", got)
	}
}

func TestAValueStaysOneSegmentOfThePath(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"../../admin-of-it": "", `..\..\admin-of-it`: "", "value/../of-it": "", "value/..;x=y/of": "", "value-of/it": "value-of%2Fit", "value..of.it": "value..of.it",
		"value?of#it%2e": "value%3Fof%23it%252e", "va\r\nlue of": "va%0D%0Alue%20of", "värde av nyckel": "v%C3%A4rde%20av%20nyckel",
	} {
		b := newBed(t, keyPlaces("path"), withValue(value))
		a := b.do(b.request("GET", "https://api.test/a/"+b.mask("KEY")+"/b", ""))
		if want == "" {
			b.refused(a, 403, "value_unfit")
			b.nothingSent()
			continue
		}
		if got := b.upstreamGot().r.RequestURI; got != "/a/"+want+"/b" {
			t.Errorf("%q: the upstream received %q", value, got)
		}
	}
	b := newBed(t, keyPlaces("path"))
	for _, value := range []string{"", ".", ".."} {
		b.values.Store("KEY", value)
		for _, segment := range []string{b.mask("KEY"), b.mask("KEY") + ";x"} {
			if value == "" && segment != b.mask("KEY") {
				continue
			}
			b.refused(b.do(b.request("GET", "https://api.test/a/"+segment+"/b", "")), 403, "value_unfit")
		}
	}
	b.nothingSent()
}

// What is put in is, decoded as its place is, the value and nothing else.
func TestAnOddValueArrivesAsItIsInEveryPlace(t *testing.T) {
	t.Parallel()
	value := "q\"u'o/te\\s %41+&=;:,<é日>#?"
	b := newBed(t, keyPlaces("header", "basic", "body", "body:note", "query:key", "path", "header:X-Sign"), withValue(value))
	m := b.mask("KEY")
	send := func(r *http.Request) received {
		t.Helper()
		if a := b.do(r); a.StatusCode != 200 {
			t.Fatalf("%s", a.body)
		}
		return b.upstreamGot()
	}
	same := func(where, got string) {
		t.Helper()
		if got != value {
			t.Errorf("%s: %q", where, got)
		}
	}
	same("header", send(b.request("GET", "https://api.test/", "", "X-Api-Key: "+m)).r.Header.Get("X-Api-Key"))
	same("header:X-Sign", strings.TrimPrefix(send(b.request("GET", "https://api.test/", "", "X-Sign: v1 k="+m)).r.Header.Get("X-Sign"), "v1 k="))
	_, password, _ := send(b.request("GET", "https://api.test/", "", "Authorization: Basic "+basic("u", m))).r.BasicAuth()
	same("basic", password)
	same("query", send(b.request("GET", "https://api.test/?a=1&key="+m+"&z=2", "")).r.URL.Query().Get("key"))
	got := send(b.request("GET", "https://api.test/a/"+m+"/b", ""))
	segment, err := url.PathUnescape(strings.Split(got.r.RequestURI, "/")[2])
	if err != nil || len(strings.Split(got.r.RequestURI, "/")) != 4 {
		t.Errorf("path: %q %v", got.r.RequestURI, err)
	}
	same("path", segment)
	form, err := url.ParseQuery(send(b.request("POST", "https://api.test/", "token="+m+"&z=1", "Content-Type: application/x-www-form-urlencoded")).body)
	if err != nil || len(form) != 2 {
		t.Errorf("form: %v %v", form, err)
	}
	same("form", form.Get("token"))
	var doc map[string]string
	if err := json.Unmarshal([]byte(send(b.request("POST", "https://api.test/", `{"token":"`+m+`","note":"a `+m+`"}`, "Content-Type: application/json")).body), &doc); err != nil || len(doc) != 2 {
		t.Errorf("JSON: %v %v", doc, err)
	}
	same("JSON", doc["token"])
	same("JSON, embedded", strings.TrimPrefix(doc["note"], "a "))
	got = send(b.request("POST", "https://api.test/", fmt.Sprintf("--B\r\nContent-Disposition: form-data; name=token\r\n\r\n%s\r\n--B--\r\n", m), "Content-Type: multipart/form-data; boundary=B"))
	parts, err := multipart.NewReader(strings.NewReader(got.body), "B").ReadForm(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	same("multipart", parts.Value["token"][0])
	// Between quotes of a header it would be more than itself.
	b.refused(b.do(b.request("GET", "https://api.test/", "", `X-Sign: k="`+m+`"`)), 403, "value_unfit")
	b.nothingSent()
	if err := b.proxy.Learn("KEY", resolver.NewSecret(keyValue)); err != nil {
		t.Fatal(err)
	}
	b.values.Store("KEY", keyValue)
	if got := send(b.request("GET", "https://api.test/", "", `X-Sign: k="`+m+`", "\"`)).r.Header.Get("X-Sign"); got != `k="`+keyValue+`", "\"` {
		t.Errorf("in quotes: %q", got)
	}
}

func TestAnswersAreAskedForInCharsetsThatAreRead(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for sent, want := range map[string]string{"utf-7": "", "utf-8": "utf-8", "ibm037, utf-8;q=0.5, utf-16": "utf-8;q=0.5", "ISO-8859-1,*;q=0.1": "ISO-8859-1, *;q=0.1"} {
		b.do(b.request("GET", "https://api.test/", "", "Accept-Charset: "+sent))
		if got := b.upstreamGot().r.Header.Get("Accept-Charset"); got != want {
			t.Errorf("%q became %q", sent, got)
		}
	}
}
