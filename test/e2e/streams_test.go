package e2e_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"kz/test/bed"
	"kz/test/origin"
)

// TestEvents has events come one by one: each is with the client before the next one is sent.
func TestEvents(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, query string }{
		{"events", "sse?count=6&ms=300"}, {"events in gzip", "sse?count=6&ms=300&coding=gzip"}, {"events that break inside the value", "sse?count=6&ms=300&split=1"},
		{"JSON lines", "ndjson?count=6&ms=300"},
	} {
		for _, version := range []string{"--http1.1", "--http2"} {
			t.Run(c.name+" are not held back ("+version+")", func(t *testing.T) {
				t.Parallel()
				b := bed.New(t)
				b.Secret("API_KEY", `hosts = ["api.test"]`)
				// What is held back comes late at any pace; what only a busy machine delays does not.
				var late int
				var came string
				for _, pace := range []string{"300", "1500", "5000"} {
					if late, came = lateEvents(t, b, version, strings.Replace(c.query, "ms=300", "ms="+pace, 1)); late <= 1 {
						return
					}
				}
				t.Errorf("%d of 5 events came after the next one was sent:\n%s", late, came)
			})
		}
	}
}

// lateEvents asks for six events and says how many of the first five came only after the next one had been sent.
func lateEvents(t *testing.T, b *bed.Bed, version, query string) (late int, output string) {
	t.Helper()
	res := b.Run(shell(bed.Program(t, "curl") + ` -sSN --compressed ` + version + ` -H "Authorization: Bearer $API_KEY" 'https://api.test/` + query +
		`&from=Authorization' | while read -r line; do echo "$(date +%s%6N) $line"; done`)...)
	res.Succeeds(t)
	b.Clean(res)
	var came, sent []int64
	for _, m := range regexp.MustCompile(`(?m)^(\d+) .*"t":(\d+),"v":"(kz_masked_[0-9a-f]{32})"`).FindAllStringSubmatch(string(res.Stdout), -1) {
		at, _ := strconv.ParseInt(m[1], 10, 64)
		from, _ := strconv.ParseInt(m[2], 10, 64)
		came, sent = append(came, at), append(sent, from)
	}
	if len(came) != 6 {
		t.Fatalf("%d of 6 events came:\n%s", len(came), res.Stdout)
	}
	for i := range 5 {
		if came[i] >= sent[i+1] {
			late++
		}
	}
	return late, string(res.Stdout)
}

// TestExpect has the client wait for the origin's word before it sends its body; without one it would wait for a minute.
func TestExpect(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	value := b.Secret("API_KEY", `hosts = ["api.test"]`)
	curl := bed.Program(t, "curl") + ` -sS --http1.1 --max-time 50 --expect100-timeout 60 -H "Expect: 100-continue" -H "Authorization: Bearer $API_KEY" `
	res := b.Run(shell(`head -c 3000000 /dev/zero > body; printf '{"password":"%s"}' "$API_KEY" > json
` + curl + `-i -T body https://api.test/continue
` + curl + `-H "Content-Type: application/json" -T json https://api.test/echo
` + curl + `-o /dev/null -w '%{http_code} after %{size_upload}\n' -T body https://api.test/continue/refuse`)...)
	res.Succeeds(t)
	b.Clean(res)
	for _, want := range []string{"HTTP/1.1 100 Continue", `"length":3000000`, `{"password":"kz_masked_`} {
		if !strings.Contains(string(res.Stdout), want) {
			t.Errorf("no %s in\n%s", want, res.Stdout)
		}
	}
	if !strings.Contains(string(res.Stdout), "}417 after 0\n") {
		t.Errorf("the origin's refusal of the body is not what came:\n%s", res.Stdout)
	}
	if got := received(t, b, "/echo"); string(got[0].Body) != `{"password":"`+value+`"}` {
		t.Error("the origin did not get the value")
	}
}

// TestTrailers sends and gets trailers, by both versions of HTTP.
func TestTrailers(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	value := b.Secret("API_KEY", `hosts = ["api.test"]`)
	b.Origin.SetValue("v", []byte(value))
	c := waiting(t, b)
	for _, h2 := range []bool{false, true} {
		for _, size := range []int{10, 3 << 20} {
			t.Run(fmt.Sprintf("of %d bytes, h2: %v", size, h2), func(t *testing.T) {
				b.Origin.Reset()
				body := strings.Repeat("x", size)
				r, err := http.NewRequestWithContext(t.Context(), "POST", "https://api.test/trailers?value=v", struct{ io.Reader }{strings.NewReader(body)})
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Authorization", "Bearer "+c.env["API_KEY"])
				r.Trailer = http.Header{"X-Sum": {"12345"}, "X-More": {"a, b"}}
				resp, err := c.client(t, h2).Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "ok\n" || (resp.ProtoMajor == 2) != h2 {
					t.Fatalf("%s: %s %v", resp.Proto, text, err)
				}
				var echoed http.Header
				if err := json.Unmarshal([]byte(resp.Trailer.Get("X-Request-Trailers")), &echoed); err != nil || echoed.Get("X-Sum") != "12345" || echoed.Get("X-More") != "a, b" {
					t.Errorf("the origin got the trailers %v: %v", echoed, err)
				}
				if v := resp.Trailer.Get("X-Value"); !mask.MatchString(v) || strings.Contains(v, value) {
					t.Errorf("the trailer with the value came as %d bytes", len(v))
				}
				got := received(t, b, "/trailers")[0]
				if got.BodyLen != int64(size) || got.Header.Get("Authorization") != "Bearer "+value {
					t.Errorf("the origin got %d bytes", got.BodyLen)
				}
			})
		}
	}
	b.Clean(c.Wait())
}

// TestHTTP2 has many requests share a connection to kz.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	value := b.Secret("API_KEY", `hosts = ["api.test"]`)
	res := b.Run(shell(bed.Program(t, "curl") + ` -sS --http2 --parallel --parallel-max 20 -w '%{http_version} %{http_code}\n' -o /dev/null -H "X-Key: $API_KEY" ` +
		`"https://api.test/[1-40]?ms=50" && ` + bed.Program(t, "curl") + ` -sS --http2 -H "X-Key: $API_KEY" "https://api.test/echo?as=json"`)...)
	res.Succeeds(t)
	b.Clean(res)
	if n := strings.Count(string(res.Stdout), "2 200\n"); n != 40 {
		t.Errorf("%d of 40 answers by HTTP/2:\n%s", n, res.Stdout)
	}
	n := 0
	for _, r := range b.Origin.Requests() {
		if r.Header.Get("X-Key") == value && r.Proto == "HTTP/2.0" {
			n++
		}
	}
	if n != 41 {
		t.Errorf("the origin got the value %d times by HTTP/2, not 41", n)
	}
}

// TestCutStreams has answers end early that are long, or coded, or go from one version of HTTP to the other; for the
// short ones see TestCutUpstream.
func TestCutStreams(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	value := b.Secret("API_KEY", `hosts = ["api.test", "other.test", "evil.test"]`)
	b.Pin("other.test:443", "h1")
	b.Pin("evil.test:443", "raw")
	b.Origin.SetValue("v", []byte(value))
	for name, answer := range codedAnswers(t, value) {
		b.Origin.SetRaw(name, origin.Script{Answer: answer, End: origin.EndClose})
	}
	curl := bed.Program(t, "curl") + ` -s -m 60 -o body --compressed -H "Authorization: Bearer $API_KEY" `
	var script strings.Builder
	var cut []string
	ask := func(name, url string) string {
		fmt.Fprintf(&script, "echo '%s:' $(%s '%s' -w '%%{http_code} %%{size_download} '; echo $?)\n", name, curl+strings.Fields(name)[0], url)
		return name
	}
	for _, version := range []string{"--http1.1", "--http2"} {
		for _, host := range []string{"api.test", "other.test"} {
			for _, end := range []string{"rst", "fin", "close"} {
				for _, at := range []int{1, 2_500_000, 2_999_999} {
					for _, framing := range []string{"length", "chunked", "chunked&between=1"} {
						name := fmt.Sprintf("%s %s %s %s %d", version, host, end, framing, at)
						cut = append(cut, ask(name, fmt.Sprintf("https://%s/cut?n=3000000&value=v&vat=900000&framing=%s&end=%s&at=%d", host, framing, end, at)))
					}
				}
			}
		}
		for _, name := range []string{"gzip-cut", "gzip-cut-chunked"} {
			cut = append(cut, ask(version+" "+name, "https://evil.test/"+name))
		}
	}
	whole := []string{
		ask("--http1.1 whole", "https://api.test/cut?n=3000000&at=3000000&end=close"), ask("--http2 whole", "https://other.test/cut?n=3000000&at=3000000&end=close"),
		ask("--http1.1 whole-close", "https://api.test/cut?n=3000000&at=3000000&framing=close&end=close"),
	}
	coded := ask("--http2 whole-gzip", "https://evil.test/gzip-whole")
	res := b.Run(shell(script.String())...)
	res.Succeeds(t)
	b.Clean(res)
	out := string(res.Stdout)
	for _, name := range cut {
		f := strings.Fields(field(out, name))
		if len(f) != 3 || f[2] == "0" && f[0] != "502" {
			t.Errorf("%s: curl is content: %v", name, f)
		}
	}
	for _, name := range whole {
		if got := field(out, name); got != "200 3000000 0" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := field(out, coded); !strings.HasPrefix(got, "200 20") || !strings.HasSuffix(got, " 0") {
		t.Errorf("a whole coded answer: %s", got)
	}
}

// codedAnswers are gzip bodies in a framing that is right, one of them whole.
func codedAnswers(t *testing.T, value string) map[string][]byte {
	t.Helper()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = io.Copy(w, origin.Stream(3, 50_000))
	_, _ = io.WriteString(w, value)
	_, _ = io.Copy(w, origin.Stream(4, 2_000_000))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	whole, part := z.Bytes(), z.Bytes()[:z.Len()-3]
	head := "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
	return map[string][]byte{
		"gzip-whole":       fmt.Appendf(nil, "%sContent-Length: %d\r\n\r\n%s", head, len(whole), whole),
		"gzip-cut":         fmt.Appendf(nil, "%sContent-Length: %d\r\n\r\n%s", head, len(part), part),
		"gzip-cut-chunked": fmt.Appendf(nil, "%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", head, len(part), part),
	}
}
