package e2e_test

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"

	"kz/test/bed"
)

// refusal is an answer of kz itself.
type refusal struct {
	Code, Message, Hint, Secret, Host, Request string
}

// refused is one request that kz must answer itself, and what it must say.
type refused struct {
	name   string
	lay    func(b *bed.Bed) // the secrets, beside the usual two
	before string           // what is run first
	curl   string           // arguments of curl, as a shell reads them
	status int
	code   string
	secret string // "": no mask stands in the request
	host   string
	path   string // of the audit line
	hint   string // the line to add, or what else to do
	sent   bool   // the request itself was sent: what is refused is the answer
}

// The masks that every row has: one of api.test, one of other.test.
func usual(b *bed.Bed) {
	b.Secret("API_KEY", `hosts = ["api.test"]`)
	b.Secret("OTHER_KEY", `hosts = ["other.test", "other.test:8443"]`)
	b.Pin("other.test:8443", "tls")
}

func swaps(places string) func(b *bed.Bed) {
	return func(b *bed.Bed) { b.Secret("API_KEY", `hosts = ["api.test"]`, "swap = ["+places+"]") }
}

const (
	privateKey = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\n-----END PRIVATE KEY-----\n"
	noHost     = `if it may go there, write under [secrets.API_KEY]: hosts = ["api.test", "other.test"]`
	mayStand   = `if it may stand there, write under [secrets.API_KEY]: swap = [`
)

var refusals = []refused{
	// Toward an intercepted host that the secret is not bound to.
	{name: "a header toward another host", curl: `-H "Authorization: Bearer $API_KEY" https://other.test/x`,
		status: 403, code: "host_not_bound", secret: "API_KEY", host: "other.test:443", path: "/x", hint: noHost},
	{name: "an API key's header toward another host, over HTTP/1.1", curl: `--http1.1 -H "X-Api-Key: $API_KEY" https://other.test/x`,
		status: 403, code: "host_not_bound", secret: "API_KEY", host: "other.test:443", path: "/x", hint: noHost},
	{name: "a mask amid a header toward another host", curl: `-H "X-Note: it is $API_KEY." https://other.test/x`,
		status: 403, code: "host_not_bound", secret: "API_KEY", host: "other.test:443", path: "/x", hint: noHost},
	{name: "Basic credentials toward another host", curl: `-u "user:$API_KEY" https://other.test/x`,
		status: 403, code: "host_not_bound", secret: "API_KEY", host: "other.test:443", path: "/x", hint: noHost},
	{name: "a query toward another host", curl: `"https://other.test/x?q=$API_KEY"`,
		status: 403, code: "host_not_bound", secret: "API_KEY", host: "other.test:443", path: "/x", hint: noHost},
	{name: "a path toward another host", curl: `"https://other.test/x/$API_KEY/y"`,
		status: 403, code: "host_not_bound", secret: "API_KEY", host: "other.test:443", path: "/x/{API_KEY}/y", hint: noHost},
	{name: "a percent-encoded mask toward another host", curl: `"https://other.test/x?q=%6b${API_KEY#k}"`,
		status: 403, code: "host_not_bound", secret: "API_KEY", host: "other.test:443", path: "/x", hint: noHost},
	{name: "another port of another host", curl: `-H "Authorization: Bearer $API_KEY" https://other.test:8443/x`,
		status: 403, code: "host_not_bound", secret: "API_KEY", host: "other.test:8443", path: "/x", hint: `hosts = ["api.test", "other.test:8443"]`},

	// Toward its own host, where it was not declared.
	{name: "a header that is not declared", lay: swaps(`"body"`), curl: `-H "Authorization: Bearer $API_KEY" https://api.test/x`,
		status: 403, code: "place_not_declared", secret: "API_KEY", host: "api.test:443", path: "/x", hint: mayStand + `"body", "header:Authorization"]`},
	{name: "a header with more than the mask", curl: `-H "X-Note: it is $API_KEY." https://api.test/x`,
		status: 403, code: "place_not_declared", secret: "API_KEY", host: "api.test:443", path: "/x", hint: mayStand + `"header", "basic", "body", "header:X-Note"]`},
	{name: "another header than the named one", lay: swaps(`"header:X-Key"`), curl: `-H "X-Other: $API_KEY" https://api.test/x`,
		status: 403, code: "place_not_declared", secret: "API_KEY", host: "api.test:443", path: "/x", hint: mayStand + `"header:X-Key", "header:X-Other"]`},
	{name: "Basic credentials that are not declared", lay: swaps(`"header"`), curl: `-u "user:$API_KEY" https://api.test/x`,
		status: 403, code: "place_not_declared", secret: "API_KEY", host: "api.test:443", path: "/x", hint: mayStand + `"header", "basic"]`},
	{name: "a query that is not declared", curl: `"https://api.test/x?key=$API_KEY"`,
		status: 403, code: "place_not_declared", secret: "API_KEY", host: "api.test:443", path: "/x", hint: mayStand + `"header", "basic", "body", "query:key"]`},
	{name: "another query parameter than the named one", lay: swaps(`"query:key"`), curl: `"https://api.test/x?key=1&other=$API_KEY"`,
		status: 403, code: "place_not_declared", secret: "API_KEY", host: "api.test:443", path: "/x", hint: mayStand + `"query:key", "query:other"]`},
	{name: "a path that is not declared", curl: `"https://api.test/x/$API_KEY"`,
		status: 403, code: "place_not_declared", secret: "API_KEY", host: "api.test:443", path: "/x/{API_KEY}", hint: mayStand + `"header", "basic", "body", "path"]`},

	{name: "a header of cleartext", curl: `-H "Authorization: Bearer $API_KEY" http://api.test/x`,
		status: 403, code: "cleartext", secret: "API_KEY", host: "api.test:80", path: "/x", hint: "https://"},
	{name: "a query of cleartext", lay: swaps(`"query:key"`), curl: `"http://api.test/x?key=$API_KEY"`,
		status: 403, code: "cleartext", secret: "API_KEY", host: "api.test:80", path: "/x", hint: "https://"},
	{name: "a path of cleartext", curl: `"http://api.test/$API_KEY"`,
		status: 403, code: "cleartext", secret: "API_KEY", host: "api.test:80", path: "/{API_KEY}", hint: "https://"},

	{name: "a header with a mask of an ended session", curl: `-H "Authorization: Bearer $ENDED" https://api.test/x`,
		status: 403, code: "mask_unknown", host: "api.test:443", path: "/x", hint: "read it again from the environment"},
	{name: "a URL with a mask of an ended session", curl: `"https://api.test/$ENDED?k=$ENDED"`,
		status: 403, code: "mask_unknown", host: "api.test:443", path: "/{mask}", hint: "read it again from the environment"},

	// Places that occur twice.
	{name: "two Authorization headers", curl: `-H "Authorization: Bearer $API_KEY" -H "Authorization: Bearer other" https://api.test/x`,
		status: 400, code: "request_invalid", secret: "API_KEY", host: "api.test:443", path: "/x", hint: "send it once"},
	{name: "a form field twice", curl: `-d "client_secret=$API_KEY" -d client_secret=other https://api.test/x`,
		status: 400, code: "request_invalid", secret: "API_KEY", host: "api.test:443", path: "/x", hint: "send it once"},
	{name: "a part of a multipart form twice", curl: `-F "client_secret=other" -F "client_secret=$API_KEY" https://api.test/x`,
		status: 400, code: "request_invalid", secret: "API_KEY", host: "api.test:443", path: "/x", hint: "send it once"},
	{name: "a key twice in one JSON object", curl: `--json "{\"apiKey\":\"$API_KEY\",\"apiKey\":\"other\"}" https://api.test/x`,
		status: 400, code: "request_invalid", secret: "API_KEY", host: "api.test:443", path: "/x", hint: "send it once"},
	{name: "a query parameter twice", lay: swaps(`"query:key"`), curl: `"https://api.test/x?key=$API_KEY&key=other"`,
		status: 400, code: "request_invalid", secret: "API_KEY", host: "api.test:443", path: "/x", hint: "send it once"},

	{name: "TRACE", curl: `-X TRACE -H "Authorization: Bearer $API_KEY" https://api.test/x`,
		status: 405, code: "method_refused", host: "api.test:443", path: "/x", hint: "another method"},
	{name: "TRACE of cleartext", curl: `-X TRACE http://api.test/x`,
		status: 405, code: "method_refused", host: "api.test:80", path: "/x", hint: "another method"},
	{name: "a value with line breaks in a header", lay: func(b *bed.Bed) { b.SecretValue("API_KEY", privateKey, `hosts = ["api.test"]`) },
		curl: `-H "X-Key: $API_KEY" https://api.test/x`, status: 403, code: "value_unfit", secret: "API_KEY", host: "api.test:443", path: "/x", hint: "body"},
	{name: "a value with line breaks in Basic", lay: func(b *bed.Bed) { b.SecretValue("API_KEY", privateKey, `hosts = ["api.test"]`) },
		curl: `-u "user:$API_KEY" https://api.test/x`, status: 403, code: "value_unfit", secret: "API_KEY", host: "api.test:443", path: "/x", hint: "body"},
	{name: "a signature made with a mask",
		curl:   `-H "Authorization: AWS4-HMAC-SHA256 Credential=$API_KEY/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0123" https://api.test/x`,
		status: 403, code: "signature_unsupported", secret: "API_KEY", host: "api.test:443", path: "/x", hint: `expose = "plain"`},
	{name: "a digest of a body that would change", curl: `-H "Content-Digest: sha-256=:AAAA:" --json "{\"password\":\"$API_KEY\"}" https://api.test/x`,
		status: 403, code: "signature_unsupported", secret: "API_KEY", host: "api.test:443", path: "/x", hint: "Content-Digest"},

	{name: "cleartext to a host that strict mode does not allow", lay: func(b *bed.Bed) { usual(b); b.Egress(`mode = "strict"`) }, curl: `http://evil.test/x`,
		status: 403, code: "egress_denied", host: "evil.test:80", path: "/x", hint: `add "evil.test:80" to allow in [egress]`},
	{name: "cleartext to a host in deny", lay: func(b *bed.Bed) { usual(b); b.Egress(`deny = ["evil.test:*"]`) }, curl: `http://evil.test/x`,
		status: 403, code: "egress_denied", host: "evil.test:80", path: "/x", hint: `take "evil.test:*" out of deny in [egress]`},
	{name: "a private address", lay: func(b *bed.Bed) { usual(b); b.Pin("api.test:443", "10.9.8.7:443") }, curl: `-H "Authorization: Bearer $API_KEY" https://api.test/x`,
		status: 403, code: "private_address", host: "api.test:443", path: "/x", hint: "allow_private"},
	{name: "a metadata service", lay: func(b *bed.Bed) { usual(b); b.Pin("api.test:443", "169.254.169.254:443") }, curl: `https://api.test/x`,
		status: 403, code: "private_address", host: "api.test:443", path: "/x", hint: "never"},
	{name: "a private address in cleartext", curl: `http://10.9.8.7:8080/x`,
		status: 403, code: "private_address", host: "10.9.8.7:8080", path: "/x", hint: "allow_private"},

	{name: "an upstream that is not there", lay: func(b *bed.Bed) { usual(b); b.Pin("api.test:443", "127.0.0.1:1") }, curl: `-H "Authorization: Bearer $API_KEY" https://api.test/x`,
		status: 502, code: "upstream_unreachable", host: "api.test:443", path: "/x", hint: "check the host's name and port"},
	{name: "an upstream that hangs up", curl: `-H "Authorization: Bearer $API_KEY" https://api.test/drop`,
		status: 502, code: "upstream_unreachable", host: "api.test:443", path: "/drop", sent: true, hint: "check the host's name and port"},
	{name: "an answer to a swap in an unknown coding", curl: `-H "Authorization: Bearer $API_KEY" "https://api.test/echo?coding=x-odd"`,
		status: 502, code: "response_unscannable", host: "api.test:443", path: "/echo", sent: true, hint: "gzip"},

	{name: "a value that its store does not give any more", lay: func(b *bed.Bed) { b.Secret("API_KEY", `hosts = ["api.test"]`, `ttl = "0s"`, `max_stale = "0s"`) },
		before: `rm ../store/secrets.env`, curl: `-H "Authorization: Bearer $API_KEY" https://api.test/x`,
		status: 503, code: "secret_unavailable", secret: "API_KEY", host: "api.test:443", path: "/x", hint: ""},
}

// TestRefusals sends each request, and looks at the answer, the audit and the origin.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range refusals {
		t.Run(c.name+" is "+c.code, func(t *testing.T) {
			t.Parallel()
			b := bed.New(t)
			if c.lay == nil {
				c.lay = usual
			}
			c.lay(b)
			if strings.Contains(c.curl, "$ENDED") {
				first := b.Run(shell(`printf %s "$API_KEY"`)...)
				first.Succeeds(t)
				b.Env = append(b.Env, "ENDED="+string(first.Stdout))
			}
			before := b.Origin.Stats()
			res := b.Run(shell(c.before + "\n" + bed.Program(t, "curl") + ` -sS --max-time 60 -D head -o body ` + c.curl)...)
			res.Succeeds(t)
			b.Clean(res)
			got := answered(t, b, c.status)
			got.check(t, c)
			if line := audited(t, b, host(c.host), c.path); line.Kind != "refusal" || line.Code != c.code || line.Status != c.status ||
				line.Reason == "" || line.Request != got.Request || !c.sent && len(line.Swapped) > 0 || !strings.HasSuffix(c.host, port(line)) {
				t.Errorf("the audit says %+v", line)
			}
			if now := b.Origin.Stats(); !c.sent && (now.Requests != before.Requests || now.Connections != before.Connections) {
				t.Errorf("the origin was reached: %+v", now)
			}
		})
	}
}

// answered reads the answer that curl has put into head and body.
func answered(t *testing.T, b *bed.Bed, status int) refusal {
	t.Helper()
	head, err := os.ReadFile(b.Path("home/head"))
	if err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(b.Path("home/body"))
	if err != nil {
		t.Fatal(err)
	}
	return parsed(t, status, string(head), body)
}

// parsed reads an answer of kz: the head's last block counts.
func parsed(t *testing.T, status int, head string, body []byte) refusal {
	t.Helper()
	blocks := strings.Split(strings.TrimSpace(strings.ReplaceAll(head, "\r", "")), "\n\n")
	last := blocks[len(blocks)-1]
	line, _, _ := strings.Cut(last, "\n")
	if f := strings.Fields(line); len(f) < 2 || f[1] != itoa(status) {
		t.Errorf("the answer begins with %q, want status %d", line, status)
	}
	var answer struct{ Error map[string]string }
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("the answer is not JSON: %v\n%s\n%s", err, last, body)
	}
	e := answer.Error
	for _, name := range []string{"code", "message", "hint", "secret", "host", "request"} {
		if _, ok := e[name]; !ok || len(e) != 6 {
			t.Errorf("the answer's fields are %v", e)
			break
		}
	}
	if header := field(lowerNames(last), "kz-error"); header != e["code"] {
		t.Errorf("Kz-Error is %q, the code %q", header, e["code"])
	}
	return refusal{e["code"], e["message"], e["hint"], e["secret"], e["host"], e["request"]}
}

// check compares an answer with what a row wants of it.
func (r refusal) check(t *testing.T, want refused) {
	t.Helper()
	if r.Code != want.code || r.Secret != want.secret || r.Host != want.host || r.Request == "" {
		t.Errorf("the answer is %+v", r)
	}
	if !strings.Contains(r.Message, want.host) && !strings.Contains(r.Message, host(want.host)) {
		t.Errorf("the message does not name the host: %s", r.Message)
	}
	if named := want.code == "host_not_bound" || want.code == "place_not_declared"; named && !strings.Contains(r.Message, want.secret) {
		t.Errorf("the message does not name the secret: %s", r.Message)
	}
	if r.Hint == "" || !strings.Contains(r.Hint, want.hint) {
		t.Errorf("the hint is %q, want it to have %q", r.Hint, want.hint)
	}
	if mask.MatchString(r.Message + r.Hint) {
		t.Errorf("the answer has a mask in full: %+v", r)
	}
}

// TestAuditUnavailable has a full disk under the audit: after the first failure nothing passes, in an open tunnel or in a
// new one.
func TestAuditUnavailable(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	usual(b)
	b.Flags = append(b.Flags, "--audit", "/dev/full")
	curl := bed.Program(t, "curl") + ` -sS --max-time 60 -D head -H "Authorization: Bearer $API_KEY" `
	res := b.Run(shell(curl + "-o first https://api.test/first -o body https://api.test/second; " + curl + "https://api.test/third || cat head")...)
	res.Succeeds(t)
	b.Clean(res)
	head, _, _ := strings.Cut(string(res.Stdout), "\r\n\r\n")
	if !strings.HasPrefix(head, "HTTP/1.1 503") || field(lowerNames(head), "kz-error") != "audit_unavailable" {
		t.Errorf("a new tunnel was answered with %s", head)
	}
	body, err := os.ReadFile(b.Path("home/body"))
	if err != nil {
		t.Fatal(err)
	}
	parsed(t, 503, "HTTP/1.1 503 \nKz-Error: audit_unavailable", body).check(t, refused{code: "audit_unavailable", host: "api.test:443", hint: "audit file"})
	for _, r := range b.Origin.Requests() {
		if r.Path != "/first" {
			t.Errorf("%s went out and could not be recorded", r.Path)
		}
	}
}

// TestRefusalNamesTheSecret has a good mask and a wrong one in the same request.
func TestRefusalNamesTheSecret(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	usual(b)
	b.Secret("THIRD_KEY", `hosts = ["api.test"]`)
	res := b.Run(shell(bed.Program(t, "curl") + ` -sS --max-time 60 -D head -o body -H "Authorization: Bearer $THIRD_KEY" -H "X-Api-Key: $OTHER_KEY" https://api.test/x`)...)
	res.Succeeds(t)
	b.Clean(res)
	answered(t, b, 403).check(t, refused{code: "host_not_bound", secret: "OTHER_KEY", host: "api.test:443", hint: `[secrets.OTHER_KEY]: hosts = ["other.test", "other.test:8443", "api.test"]`})
	if n := b.Origin.Stats().Requests; n != 0 {
		t.Errorf("%d requests went out", n)
	}
}

// host is what stands before the port.
func host(hostport string) string {
	return strings.Trim(hostport[:strings.LastIndexByte(hostport, ':')], "[]")
}

func port(l bed.Line) string { return ":" + itoa(l.Port) }

func itoa(n int) string { return strconv.Itoa(n) }

// lowerNames writes the names of headers in lower case, as h2 has them.
func lowerNames(head string) string {
	var b strings.Builder
	for line := range strings.Lines(head) {
		name, value, ok := strings.Cut(line, ":")
		b.WriteString(strings.ToLower(name))
		if ok {
			b.WriteString(":" + value)
		}
	}
	return b.String()
}
