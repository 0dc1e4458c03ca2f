package e2e_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kz/test/bed"
	"kz/test/origin"
)

// TestUnverifiedUpstream has the host answer with certificates that are not its own.
func TestUnverifiedUpstream(t *testing.T) {
	t.Parallel()
	curl := bed.Program(t, "curl")
	for listener, code := range map[string]string{
		"wrong-name": "upstream_unverified", "self-signed": "upstream_unverified", "untrusted": "upstream_unverified",
		"expired": "upstream_unverified", "old-tls": "upstream_",
	} {
		t.Run("a value never goes to the listener "+listener, func(t *testing.T) {
			t.Parallel()
			b := bed.New(t)
			b.Secret("API_KEY", `hosts = ["api.test"]`)
			b.Pin("api.test:443", listener)
			res := b.Run(shell(curl + ` -sS -i -H "Authorization: Bearer $API_KEY" https://api.test/echo`)...)
			if !strings.Contains(strings.ToLower(string(res.Stdout)), "kz-error: "+code) {
				t.Errorf("not refused with %s:\n%s%s", code, res.Stdout, res.Stderr)
			}
			if n := len(b.Origin.Requests()); n != 0 {
				t.Errorf("the origin got %d requests", n)
			}
			b.Clean(res)
		})
	}
}

// TestCutUpstream has answers end early, at several bytes and in each framing.
func TestCutUpstream(t *testing.T) {
	t.Parallel()
	curl := bed.Program(t, "curl")
	b := bed.New(t)
	value := b.Secret("API_KEY", `hosts = ["api.test"]`)
	b.Origin.SetValue("v", []byte(value))
	var script strings.Builder
	var cases []string
	for _, framing := range []string{"length", "chunked", "close"} {
		for _, end := range []string{"rst", "fin", "close"} {
			if framing == "close" && end == "close" {
				continue // that is a whole answer
			}
			for _, at := range []int{0, 1, 700, 70_000} {
				for _, version := range []string{"--http1.1", "--http2"} {
					c := fmt.Sprintf("framing=%s&end=%s&at=%d %s", framing, end, at, version)
					cases = append(cases, c)
					query, _, _ := strings.Cut(c, " ")
					fmt.Fprintf(&script, "%s %s -s -m 20 -o body -H \"Authorization: Bearer $API_KEY\" 'https://api.test/cut?n=1000000&value=v&vat=650&%s' -w '%%{http_code} '; echo $?\n", curl, version, query)
				}
			}
		}
	}
	// And one that is whole, so that it is known what that looks like.
	fmt.Fprintf(&script, "%s --http1.1 -s -m 20 -o body -H \"Authorization: Bearer $API_KEY\" 'https://api.test/cut?n=1000&at=1000&framing=close&end=close' -w '%%{http_code} '; echo $?\n", curl)
	res := b.Run(shell(script.String())...)
	res.Succeeds(t)
	lines := strings.Split(strings.TrimSpace(string(res.Stdout)), "\n")
	if len(lines) != len(cases)+1 {
		t.Fatalf("%d answers to %d requests:\n%s", len(lines), len(cases)+1, res.Stderr)
	}
	if lines[len(cases)] != "200 0" {
		t.Errorf("a whole answer: %s", lines[len(cases)])
	}
	for i, line := range lines[:len(cases)] {
		// Either the transfer fails, or kz says itself that the upstream did.
		status, code, _ := strings.Cut(line, " ")
		if code == "0" && status != "502" {
			t.Errorf("%s: curl is content with a short answer (status %s)", cases[i], status)
		}
	}
	b.Clean(res)
}

// TestMalformedUpstream goes through everything the raw listener can say. kz may
// refuse it or pass on its meaning; it must stay up, and answer the next request.
func TestMalformedUpstream(t *testing.T) {
	t.Parallel()
	curl := bed.Program(t, "curl")
	b := bed.New(t)
	b.Secret("API_KEY", `hosts = ["api.test"]`)
	b.Pin("api.test:443", "raw")
	names := b.Origin.ScriptNames()
	slices.Sort(names)
	var script strings.Builder
	for _, name := range names {
		fmt.Fprintf(&script, "%s -s -m 30 -o /dev/null -H \"Authorization: Bearer $API_KEY\" https://api.test/%s -w '%s %%{http_code} '; echo $?\n", curl, name, name)
		fmt.Fprintf(&script, "%s -sS -m 30 -H \"Authorization: Bearer $API_KEY\" https://api.test/ok; echo\n", curl)
	}
	res := b.Run(shell(script.String())...)
	res.Succeeds(t)
	lines := strings.Split(strings.TrimSpace(string(res.Stdout)), "\n")
	if len(lines) != 2*len(names) {
		t.Fatalf("%d lines for %d scripts:\n%s%s", len(lines), len(names), res.Stdout, res.Stderr)
	}
	for i := 0; i < len(lines); i += 2 {
		if lines[i+1] != "ok" {
			t.Errorf("after %q the next answer is %q", lines[i], lines[i+1])
		}
	}
	// What is certainly not a whole answer must not look like one.
	for _, name := range []string{
		"short-length", "two-lengths", "negative-length", "bad-chunk-size", "huge-chunk-size", "chunk-without-end", "xchunked",
		"no-status", "http09", "garbage", "empty", "no-end-of-head", "huge-header", "reset-before-answer", "reset-inside-head",
		"unasked-upgrade", "unasked-partial", "unknown-coding", "gzip-that-is-not", "fin-without-notify",
	} {
		for _, line := range lines {
			if f := strings.Fields(line); len(f) == 3 && f[0] == name && strings.HasPrefix(f[1], "2") && f[2] == "0" {
				t.Errorf("%s is passed on as a success: %s", name, line)
			}
		}
	}
	b.Clean(res)
}

// TestBulk moves a quarter of a gigabyte each way, and asks what kz held of it.
func TestBulk(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the bulk transfers were left out")
	}
	curl := bed.Program(t, "curl")
	const size = 256 << 20
	b := bed.New(t)
	b.Secret("API_KEY", `hosts = ["api.test"]`)
	b.WithoutRace()
	res := b.Run(shell(fmt.Sprintf(`
auth="Authorization: Bearer $API_KEY"
echo "down: $(%[1]s -sS -H "$auth" 'https://api.test/bytes?seed=5&n=%[2]d' | sha256sum)"
echo "down chunked: $(%[1]s -sS --http1.1 -H "$auth" 'https://api.test/bytes?seed=5&chunked=1&n=%[2]d' | sha256sum)"
echo "up: $(head -c %[2]d /dev/zero | %[1]s -sS -H "$auth" -T - https://api.test/sink)"
echo "held: $(awk '/VmHWM/ {print $2}' /proc/$PPID/status)"`, curl, size))...)
	res.Succeeds(t)
	out := string(res.Stdout)
	want := origin.StreamSHA(5, size)
	for _, name := range []string{"down", "down chunked"} {
		if got := field(out, name); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if up := field(out, "up"); !strings.Contains(up, strconv.Itoa(size)) {
		t.Errorf("up: %s", up)
	}
	t.Logf("kz held %s KiB at its peak", field(out, "held"))
	// About half of it is there from the start.
	if held, err := strconv.Atoi(field(out, "held")); err != nil || held > 64<<10 {
		t.Errorf("kz held %d KiB at its peak (%v)", held, err)
	}
	b.Clean(res)
}
