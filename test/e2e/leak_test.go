package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"kz/test/bed"
	"kz/test/canary"
	"kz/test/origin"
)

// awkward is a value with what needs an escape somewhere in it: in its middle and at both of its ends.
func awkward() string {
	v := canary.Value("")
	return `"` + v[:14] + `\/= &+%25<>é` + v[14:] + `%2F+=`
}

// lined is a value of several lines.
func lined() string {
	return canary.Value("") + "\n" + canary.Value("") + "\n" + canary.Value("") + "\n"
}

// leaks is one bed in which a single secret goes through everything that can happen to it. It is bound to three hosts:
// api.test is good, other.test cannot prove its name, git.test says odd things. Another, of several lines, goes through
// bodies.
func leaks(t *testing.T) (b *bed.Bed, value, lines string) {
	t.Helper()
	b = bed.New(t)
	for _, name := range []string{"XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"} {
		dir := b.Path("home/xdg/" + name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		b.Env = append(b.Env, name+"="+dir)
	}
	lines = lined()
	b.SecretValue("LINES_KEY", lines, `hosts = ["api.test"]`, `swap = ["body", "body:x"]`)
	b.Origin.SetValue("lines", []byte(lines))
	value = awkward()
	b.SecretValue("API_KEY", value, `hosts = ["api.test", "other.test", "git.test"]`, `ttl = "0s"`, `max_stale = "0s"`,
		`swap = ["header", "basic", "body", "query:key", "path"]`)
	b.Secret("UNRELATED", `hosts = ["a.wild.test"]`)
	b.Pin("other.test:443", "untrusted")
	b.Pin("git.test:443", "raw")
	b.Origin.SetValue("v", []byte(value))
	b.Flags = []string{"--log-level", "debug"}
	return b, value, lines
}

// everything is what a child does with the secret: successes, refusals, timeouts, wrong certificates, broken answers.
func everything(t *testing.T, b *bed.Bed) string {
	t.Helper()
	curl := bed.Program(t, "curl") + ` -sS -v -i --max-time 20 `
	auth := `-H "Authorization: Bearer $API_KEY" `
	var s strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&s, curl+format+"\n", args...) }
	for _, version := range []string{"--http1.1 ", "--http2 "} {
		line(version + auth + `https://api.test/echo`)
		line(version + auth + `"https://api.test/echo/$API_KEY?key=$API_KEY"`)
		line(version + `-u "me:$API_KEY" --json "{\"password\":\"$API_KEY\",\"prompt\":\"it is $API_KEY\"}" https://api.test/echo`)
		line(version + auth + `-d "client_secret=$API_KEY" "https://api.test/echo?as=json"`)
		line(version + auth + `-F "token=$API_KEY" "https://api.test/echo-auto" --compressed`)
		for _, form := range origin.Forms {
			line(version+auth+`--compressed "https://api.test/value?value=v&before=5&coding=gzip&form=%s" "https://api.test/value?value=v&chunked=1&split=5&form=%[1]s" "https://api.test/value?value=lines&chunked=1&split=7&form=%[1]s"`, form)
		}
		line(version + `--json "{\"private_key\":\"$LINES_KEY\",\"x\":\"a $LINES_KEY b\"}" https://api.test/echo "https://api.test/echo?as=json"`)
		line(version + `-F "private_key=$LINES_KEY" "https://api.test/echo"`)
		line(version + `--data-urlencode "private_key=$LINES_KEY" "https://api.test/echo?as=body"`)
		line(version + `-H "Authorization: Bearer $LINES_KEY" https://api.test/x`)
		for _, path := range []string{"/sse", "/ndjson", "/trailers", "/grpc", "/mine", "/bearer", "/basic", "/flaky"} {
			line(version + auth + `-d a=b "https://api.test` + path + `?value=v&n=3"`)
		}
		for _, where := range []string{"header=Set-Cookie", "header=X-Any", "name=1", "reason=1", "trailer=X-T", "status=500&header=Location"} {
			line(version + auth + `"https://api.test/headers?value=v&` + where + `"`)
		}
		line(version + auth + `-L --max-redirs 2 "https://api.test/redirect?value=v&to=https://a.wild.test/"`)
		line(version + auth + `"https://api.test/early-hints?value=v&codes=102,103"`)
		line(version + auth + `"https://api.test/cut?value=v&vat=10&at=100" "https://api.test/cut?n=2000000&value=v&vat=1999000&at=1999020&framing=chunked"`)
		line(version + auth + `-r 0-20 "https://api.test/range?value=v&at=10"`)
		// Refusals.
		line(version + auth + `https://a.wild.test/x "https://a.wild.test/$API_KEY?$API_KEY"`)
		line(version + auth + auth + `https://api.test/x`)
		line(version + `-H "X-Note: about $API_KEY" "https://api.test/x?other=$API_KEY" http://api.test/$API_KEY`)
		line(version + `-H "Authorization: AWS4-HMAC-SHA256 Credential=$API_KEY/x" -X TRACE https://api.test/x`)
		line(version + auth + `-H "Host: a.wild.test" https://api.test/x`)
		line(version + auth + `--cacert ` + b.Path("etc/ca.pem") + ` https://evil.test/x`)
		// Timeouts and wrong certificates.
		line(version + auth + `--max-time 1 https://api.test/hang`)
		line(version + auth + `--max-time 1 "https://api.test/slow?n=100&body_ms=100"`)
		line(version + auth + `-d "token=$API_KEY" https://other.test/x`)
		line(version + auth + `--cacert /dev/null https://api.test/x`)
	}
	names := b.Origin.ScriptNames()
	slices.Sort(names)
	for _, name := range names {
		line(`--http1.1 -o /dev/null `+auth+`"https://git.test/%s?key=$API_KEY"`, name)
	}
	return s.String()
}

// TestLeak looks for one value everywhere but at the upstream it is bound to.
func TestLeak(t *testing.T) {
	t.Parallel()
	b, value, lines := leaks(t)
	look := canary.New(value)
	p := b.StartKZ("run", "--blind", "--log-level", "debug", "--config", b.WriteBundle(), "--", "/bin/sh", "-c", everything(t, b)+`
env; cat /proc/self/environ /proc/self/cmdline /proc/$$/environ /proc/$$/cmdline
cat /proc/$PPID/environ /proc/$PPID/cmdline
find "$TMPDIR" "$HOME" /proc/self/fd/ 2>&1; cat "$SSL_CERT_FILE" "$NODE_EXTRA_CA_CERTS"
echo "child: $$"; echo "proxy: $HTTPS_PROXY"; echo "mask: $API_KEY"; echo all-$((1+1))-done # its text is not in the script, which is printed too
read line
`+bed.Program(t, "curl")+` -sS -v -i -H "Authorization: Bearer $API_KEY" https://api.test/after
read line`)
	for end := time.Now().Add(3 * time.Minute); !strings.Contains(p.Stdout(), "all-2-done"); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the child does not come to its end")
		}
	}

	// While it runs: files, environments, arguments.
	processes := map[string]string{"kz": fmt.Sprint(p.Pid), "the child": field(p.Stdout(), "child")}
	for name, pid := range processes {
		for _, file := range []string{"environ", "cmdline", "comm", "maps", "mountinfo"} {
			text, err := os.ReadFile("/proc/" + pid + "/" + file)
			if err != nil {
				t.Errorf("looking at %s: %v", name, err)
			}
			for _, hit := range look.In(file+" of "+name, text) {
				t.Error(hit)
			}
		}
	}
	var child int
	if _, err := fmt.Sscan(processes["the child"], &child); err != nil {
		t.Fatal(err)
	}
	hits, err := look.Process(child)
	if err != nil {
		t.Errorf("looking at the child: %v", err)
	}
	for _, hit := range hits {
		t.Errorf("the child: %s", hit)
	}
	b.Clean(bed.Result{Stdout: []byte(p.Stdout()), Stderr: []byte(p.Stderr())})
	oddClients(t, look, field(p.Stdout(), "proxy"), field(p.Stdout(), "mask"))

	// The store breaks, then gives another value, which the old one must not be forgotten for.
	if err := os.WriteFile(b.Path("store/secrets.env"), []byte("API_KEY='"+value+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(p.Stdin, "go on\n")
	p.Await("Kz-Error")
	bed.Eventually(t, "the store's failure shows", func() bool { return strings.Contains(strings.ToLower(p.Stdout()), "kz-error: secret_unavailable") })
	_, _ = io.WriteString(p.Stdin, "go on\n")
	res := p.Wait()
	b.Clean(res)
	if strings.Contains(res.Output(), "internal error") || strings.Contains(res.Output(), "goroutine ") {
		t.Errorf("kz panicked:\n%s", res.Stderr)
	}
	if hits, err := canary.New("host_not_bound").Files(b.Path("home/xdg/XDG_STATE_HOME/kz/audit")); err != nil || len(hits) == 0 {
		t.Errorf("the audit is not where it was looked for: %v", err)
	}
	for _, args := range [][]string{{"audit"}, {"audit", "--json"}, {"audit", "--verify"}} {
		res := b.KZ(args...)
		res.Succeeds(t)
		b.Clean(res)
	}
	atUpstream(t, b, value, 50)
	atUpstream(t, b, lines, 6)
}

// atUpstream sees that the value is with the upstream it is bound to, at least so many times, and with no other.
func atUpstream(t *testing.T, b *bed.Bed, value string, least int) {
	t.Helper()
	look := canary.New(value)
	with := 0
	for _, r := range b.Origin.Requests() {
		hits := look.Find(r.All())
		if bound := r.Host == "api.test" || r.Host == "git.test"; !bound || r.Listener == "plain" {
			for _, h := range hits {
				t.Errorf("%s on %s got %s", r.Host, r.Listener, h)
			}
		} else if len(hits) > 0 {
			with++
		}
		if r.Listener == "untrusted" {
			t.Error("a request went to an upstream that could not prove its name")
		}
	}
	if with < least {
		t.Errorf("only %d requests reached the bound upstream with the value: is this a test?", with)
	}
}

// oddClients says things to the proxy that no client says. Whatever it answers, it does not hold the value.
func oddClients(t *testing.T, look *canary.Canary, proxy, token string) {
	t.Helper()
	u, err := url.Parse(proxy)
	if err != nil || u.User == nil {
		t.Fatalf("HTTPS_PROXY: %v", err)
	}
	auth := "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.String())) + "\r\n"
	connect := "CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n" + auth
	for name, text := range map[string]string{
		"nothing": "", "garbage": "\x16\x03\x01\x00\xff\x00\x01", "half a request": "GET http://api.test/" + token, "no version": "GET / \r\n\r\n",
		"a long line":  "GET http://api.test/" + strings.Repeat(token, 5000) + " HTTP/1.1\r\n" + auth + "\r\n",
		"many headers": "GET http://api.test/ HTTP/1.1\r\nHost: api.test\r\n" + auth + strings.Repeat("X-A: "+token+"\r\n", 5000) + "\r\n",
		"a bad length": "POST http://api.test/ HTTP/1.1\r\nHost: api.test\r\n" + auth + "Content-Length: -5\r\n\r\n" + token,
		"two framings": "POST http://api.test/ HTTP/1.1\r\nHost: api.test\r\n" + auth + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + token,
		"a bad host":   "CONNECT " + token + " HTTP/1.1\r\nHost: x\r\n" + auth + "\r\n", "a mask for a host": "CONNECT " + token + ".test:443 HTTP/1.1\r\nHost: x\r\n" + auth + "\r\n",
		"a mask for a method": strings.ToUpper(token) + " http://api.test/ HTTP/1.1\r\nHost: api.test\r\n" + auth + "\r\n",
		"no TLS inside":       connect + "\r\nGET / HTTP/1.1\r\nAuthorization: " + token + "\r\n\r\n", "half a handshake": connect + "\r\n\x16\x03\x01\x02\x00\x01\x00",
		"h2 in the clear": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", "direct": "GET /" + token + " HTTP/1.1\r\nHost: " + u.Host + "\r\n" + auth + "\r\n",
	} {
		conn, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
		_, _ = io.WriteString(conn, text)
		_ = conn.(*net.TCPConn).CloseWrite()
		answer, _ := io.ReadAll(conn)
		for _, hit := range look.In("the answer to "+name, answer) {
			t.Error(hit)
		}
		_ = conn.Close()
	}
	// It is still there.
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(conn, "GET http://api.test/still HTTP/1.1\r\nHost: api.test\r\n"+auth+"\r\n")
	if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != 200 && resp.StatusCode != 403 {
		t.Errorf("after odd clients: %v %v", resp, err)
	}
}

// TestLeakOfProxy does the same with `kz proxy`: its env file, its session file and its standard error.
func TestLeakOfProxy(t *testing.T) {
	t.Parallel()
	b, value, lines := leaks(t)
	p := b.StartProxy("--log-level", "debug", "--session-file", b.Path("home/session"))
	res := p.Client(shell(everything(t, b) + "\nenv; cat proxy.env ca/*; cat /proc/self/environ")...)
	look := canary.New(value)
	for _, file := range []string{"environ", "cmdline"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.Pid, file))
		if err != nil {
			t.Error(err)
		}
		for _, hit := range look.In(file+" of kz", text) {
			t.Error(hit)
		}
	}
	b.Clean(res)
	oddClients(t, look, p.Get("HTTPS_PROXY"), p.Get("API_KEY"))
	end := p.Stop()
	end.Exits(t, 0)
	b.Clean(res, end)
	atUpstream(t, b, value, 50)
	atUpstream(t, b, lines, 6)
}

// TestLeakBySurroundings gives the value to kz in ways that a child inherits.
func TestLeakBySurroundings(t *testing.T) {
	t.Parallel()
	b, value, _ := leaks(t)
	b.Env = append(b.Env, "A="+value, "B=x"+base64.StdEncoding.EncodeToString([]byte(value)), "C="+base64.URLEncoding.EncodeToString([]byte("1"+value)),
		"D=22"+base64.StdEncoding.EncodeToString([]byte("22"+value+"3")), "E="+hex.EncodeToString([]byte(value)), "F="+strings.ToUpper(hex.EncodeToString([]byte(value))),
		"G="+url.QueryEscape(value), "H="+url.PathEscape(value), "I=postgres://u:"+url.PathEscape(value)+"@h/d", "KEPT=1")
	res := b.Run(shell(`env; cat /proc/self/environ`)...)
	res.Succeeds(t)
	b.Clean(res)
	if !bytes.Contains(res.Stdout, []byte("KEPT=1")) {
		t.Errorf("the child lacks what is harmless:\n%s", res.Stdout)
	}
	for _, command := range []string{"status", "status --json", "validate", "backends", "backends check", "backends check --json"} {
		res := b.KZ(append(strings.Fields(command), "--config", b.WriteBundle())...)
		res.Succeeds(t)
		b.Clean(res)
	}
	if leaked := b.Leaks(bed.Result{Stdout: []byte(hex.EncodeToString([]byte(value)))}); len(leaked) == 0 {
		t.Error("not even a leak is found: the search does not work")
	}
}
