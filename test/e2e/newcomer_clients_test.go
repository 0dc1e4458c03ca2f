package e2e_test

import (
	"regexp"
	"strings"
	"testing"

	"kz/test/bed"
)

// TestEachClientThatDoesNotComeThroughIsToldOf has programs that go round the proxy, or do not trust it. kz cannot know
// before they start; what it says at the end of the run is one line and one hint, and the hint mends it.
func TestEachClientThatDoesNotComeThroughIsToldOf(t *testing.T) {
	t.Parallel()
	const request = `fetch("https://api.test/echo", {headers: {authorization: "Bearer " + process.env.API_KEY}}).then(r => process.exit(r.ok ? 0 : 1), () => process.exit(7))`
	for _, c := range []struct {
		name  string
		typed string // NODE is Node 24's path
		code  int
		says  string
		hint  string
		mend  string // what is typed then
	}{
		{
			name:  "Node without proxy support",
			typed: `kz run --blind -- env -u NODE_OPTIONS -u NODE_USE_ENV_PROXY NODE -e '` + request + `'`, code: 7,
			says: `^kz: 0 requests$`, hint: "`kz doctor -- COMMAND` looks for the reason",
			mend: `kz run --blind -- NODE -e '` + request + `'`,
		},
		{
			name:  "a client that trusts only roots of its own",
			typed: `kz run --blind -- sh -c 'curl -sS --cacert ../etc/ca.pem -H "Authorization: Bearer $API_KEY" https://api.test/echo'`, code: 60,
			says: `^kz: warning: a client ended its TLS connection to api\.test; it may read its roots elsewhere`, hint: "`kz help runtimes` lists what each client reads",
			mend: `kz run --blind -- sh -c 'curl -sS -H "Authorization: Bearer $API_KEY" https://api.test/echo'`,
		},
		{
			name:  "an inherited NO_PROXY that is kept",
			typed: "NO_PROXY=api.test no_proxy='*' " + strings.Replace(calls, "--blind", "--blind --no-force-proxy", 1), code: 6,
			says: `^kz: warning: --no-force-proxy: the program is not told of the proxy`, hint: "`kz doctor -- COMMAND`",
			mend: "NO_PROXY=api.test no_proxy='*' " + calls,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := newNewcomer(t)
			value := n.stores()
			n.configure(n.dotenv())
			node := "node"
			if strings.Contains(c.typed, "NODE ") {
				node = bed.Node(t)
			}
			res := n.types(strings.ReplaceAll(c.typed, "NODE ", node+" "))
			res.Exits(t, c.code)
			said := 0
			for line := range strings.Lines(string(res.Stderr)) {
				if regexp.MustCompile(c.says).MatchString(strings.TrimSuffix(line, "\n")) {
					said++
				}
			}
			hints := spoken(res, "hint")
			if said != 1 || len(hints) != 1 || !regexp.MustCompile(c.hint).MatchString(hints[0]) || len(spoken(res, "error")) > 0 {
				t.Fatalf("want one line that matches %q, and one hint that matches %q:\n%s", c.says, c.hint, res.Stderr)
			}
			if len(n.Origin.Requests()) > 0 {
				t.Error("it came through all the same")
			}
			n.types(strings.ReplaceAll(c.mend, "NODE ", node+" "))
			n.arrives(value)
			if h := spoken(n.last, "hint"); len(h) > 0 {
				t.Errorf("there is still something to mend:\n%s", n.last.Stderr)
			}
		})
	}
}
