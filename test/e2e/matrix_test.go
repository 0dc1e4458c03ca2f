package e2e_test

import (
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kz/test/bed"
	"kz/test/origin"
)

// The client matrix: each client with nothing but the environment that `kz run --blind` sets.
//
//   - proxy: its request arrives by kz. There is no other way: the hosts are names that resolve nowhere else than in the bundle.
//   - trust: it takes kz's certificate, so that kz could read the request.
//   - swap: the origin got the value, and the client has seen the mask in its place.
//
// A cell is ok, or a reason with its proof; all of it is tried in each run of the tests, and a reason that is no longer true fails.
// To add a client, add a row to a function in matrixRows (matrix_*_test.go). A row without more than name, version and call sends
// `Authorization: Bearer $API_KEY` to https://api.test/echo and prints the answer.

// row is one client of the matrix.
type row struct {
	client  string                                  // as the tables name it
	version func(t *testing.T) []string             // prints something with the version in it
	call    func(t *testing.T, c *attempt) []string // what is run: it may write files and settle the origin first

	hosts   []string                                 // the names it calls, "" or more: the first is the one that is looked at; none: api.test
	path    string                                   // what it asks for there; "": /echo
	secret  string                                   // its secret; "": API_KEY
	lines   []string                                 // that secret's table; nil: hosts = [first host]
	carries func(r origin.Record, value string) bool // the request has the value at its place; nil: as bearer token
	sees    sight                                    // how it shows that it saw the mask

	proxy, trust, swap cell
}

// sight is what a client lets one see of an answer that holds the value.
type sight int

const (
	prints sight = iota // it prints the answer: the mask stands there
	reads               // it reads such an answer without printing it: the audit has the scrub
	unseen              // no answer to it holds the value
)

// cell is one column of a row: ok, or the reason why not.
type cell struct {
	reason string // as the tables have it; "": ok
	// proof fails the test unless the reason holds. It is called after the row's call, and may run more. ended is the
	// row's call; nil for a cell that is ok.
	proof func(t *testing.T, c *attempt, ended bed.Result)
}

// attempt is one row being tried.
type attempt struct {
	*bed.Bed
	row   row
	value string // of the secret
}

// host is the name that is looked at.
func (c *attempt) host() string {
	if len(c.row.hosts) > 0 {
		return c.row.hosts[0]
	}
	return "api.test"
}

// write puts a file into the client's home and returns its path.
func (c *attempt) write(t *testing.T, name, content string) string {
	t.Helper()
	path := c.Path("home/" + name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// matrixRows are all clients.
func matrixRows() []row {
	return slices.Concat(toolRows(), pythonRows(), packageRows(), javaRows(), nodeRows())
}

// TestMatrix tries each row. What it logs, test/summary prints as a table.
func TestMatrix(t *testing.T) {
	t.Parallel()
	for _, r := range matrixRows() {
		t.Run(r.client+" does in each column what the table says", func(t *testing.T) {
			t.Parallel()
			version := versionOf(t, r)
			c := newAttempt(t, r)
			argv := r.call(t, c)
			ended := c.Run(argv...)
			c.Clean(ended)
			if r.proxy.reason == "" && r.trust.reason == "" {
				ended.Succeeds(t)
			}
			for _, column := range []struct {
				cell
				ok func(t *testing.T, c *attempt, ended bed.Result)
			}{{r.proxy, cameByProxy}, {r.trust, trusted}, {r.swap, swapped}} {
				switch {
				case column.reason == "":
					column.ok(t, c, ended)
				case column.proof == nil:
					t.Errorf("nothing shows that %q", column.reason)
				default:
					column.proof(t, c, ended)
				}
			}
			// A client may wait to be asked for the credential; that is no refusal.
			if l := c.Audit(); slices.ContainsFunc(l, func(l bed.Line) bool { return l.Code == "proxy_credential" }) {
				t.Errorf("the audit has a request without the credential: %+v", l)
			}
			if !t.Failed() {
				t.Logf("client: %s | %s | %s | %s | %s", r.client, version, r.proxy, r.trust, r.swap)
			}
		})
	}
}

// String is the cell as the tables have it.
func (c cell) String() string {
	if c.reason == "" {
		return "ok"
	}
	return c.reason
}

func newAttempt(t *testing.T, r row) *attempt {
	t.Helper()
	if r.path == "" {
		r.path = "/echo"
	}
	if r.secret == "" {
		r.secret = "API_KEY"
	}
	if r.carries == nil {
		r.carries = func(r origin.Record, value string) bool { return r.Header.Get("Authorization") == "Bearer "+value }
	}
	var more []string
	for _, h := range r.hosts {
		if !slices.Contains(origin.DefaultHosts, h) {
			more = append(more, h)
		}
	}
	c := &attempt{Bed: bed.New(t, more...), row: r}
	if r.lines == nil {
		r.lines = []string{`hosts = ["` + c.host() + `"]`}
	}
	c.value = c.Secret(r.secret, r.lines...)
	return c
}

var versionNumber = regexp.MustCompile(`\d+(\.\d+)+`)

// versionOf is the version that a client tells, so that the table says of what it speaks.
func versionOf(t *testing.T, r row) string {
	t.Helper()
	argv := r.version(t)
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env = []string{"PATH=" + bed.Path, "HOME=" + t.TempDir()}
	out, err := cmd.CombinedOutput()
	version := versionNumber.FindString(string(out))
	if err != nil || version == "" {
		t.Fatalf("%s tells no version: %v: %s", r.client, err, out)
	}
	return version
}

// lines are the audit's, of the host that is looked at.
func (c *attempt) lines() []bed.Line {
	return slices.DeleteFunc(c.Audit(), func(l bed.Line) bool { return l.Host != c.host() })
}

// arrived are the requests for the row's path that the origin got.
func (c *attempt) arrived() []origin.Record {
	return slices.DeleteFunc(c.Origin.Requests(), func(r origin.Record) bool { return r.Host != c.host() || r.Path != c.row.path })
}

// cameByProxy: kz has seen the host asked for. Of a client that does not trust kz it may know nothing: that it was shown a
// certificate which it does not like says it, too, as the host is nowhere else.
func cameByProxy(t *testing.T, c *attempt, ended bed.Result) {
	t.Helper()
	shown := c.row.trust.reason != "" && strings.Contains(ended.Output(), "certificate")
	if len(c.lines()) == 0 && !shown {
		t.Errorf("nothing for %s came by the proxy:\n%s", c.host(), ended.Output())
	}
}

// trusted: the client has spoken HTTP inside of kz's TLS and got a good answer from the origin.
func trusted(t *testing.T, c *attempt, ended bed.Result) {
	t.Helper()
	good := func(l bed.Line) bool {
		return l.Kind == "request" && l.Path == c.row.path && (l.Status == http.StatusOK || l.Status == http.StatusSwitchingProtocols)
	}
	if !slices.ContainsFunc(c.lines(), good) || len(c.arrived()) == 0 {
		t.Errorf("no request for %s%s was answered with 200 or 101:\n%s\n%+v", c.host(), c.row.path, ended.Output(), c.lines())
	}
}

// swapped: the value arrived, the client had the mask, before and after.
func swapped(t *testing.T, c *attempt, ended bed.Result) {
	t.Helper()
	arrived := slices.ContainsFunc(c.arrived(), func(r origin.Record) bool { return c.row.carries(r, c.value) })
	noted := slices.ContainsFunc(c.lines(), func(l bed.Line) bool { return len(l.Swapped) > 0 && l.Swapped[0].Secret == c.row.secret })
	if !arrived || !noted {
		t.Errorf("the value arrived: %v; the audit has it: %v\n%s\n%+v", arrived, noted, ended.Output(), c.lines())
	}
	for _, r := range c.arrived() {
		for name := range r.Header {
			if strings.HasPrefix(name, "Proxy-") {
				t.Errorf("the origin got the header %s", name)
			}
		}
	}
	scrubbed := slices.ContainsFunc(c.lines(), func(l bed.Line) bool { return len(l.Scrubbed) > 0 })
	if c.row.sees != unseen && !scrubbed {
		t.Errorf("no answer was scrubbed: %+v", c.lines())
	}
	if c.row.sees == prints && !mask.Match(ended.Stdout) {
		t.Errorf("the answer does not come back masked:\n%s", ended.Stdout)
	}
}

// notAsked is the reason in the columns after the one that fails, and has the proof: kz has no request to show.
var notAsked = cell{"not asked", func(t *testing.T, c *attempt, _ bed.Result) {
	t.Helper()
	asked := slices.ContainsFunc(c.lines(), func(l bed.Line) bool { return l.Kind == "request" })
	if c.row.proxy.reason+c.row.trust.reason == "" || asked {
		t.Errorf("kz was asked all the same: %+v", c.lines())
	}
}}

// failsWith is a reason whose proof is that the call fails and says so, and that nothing of it arrives.
func failsWith(reason, says string) cell {
	return cell{reason, func(t *testing.T, c *attempt, ended bed.Result) {
		t.Helper()
		if n := len(c.arrived()); ended.Code == 0 || !strings.Contains(ended.Output(), says) || n != 0 {
			t.Errorf("exit code %d, %d requests arrived, and this does not say %q:\n%s", ended.Code, n, says, ended.Output())
		}
	}}
}

// direct is failsWith of a client that knows of no proxy.
func direct(reason, says string) cell {
	failed := failsWith(reason, says)
	return cell{reason, func(t *testing.T, c *attempt, ended bed.Result) {
		t.Helper()
		failed.proof(t, c, ended)
		if lines := c.lines(); len(lines) != 0 {
			t.Errorf("it came by the proxy all the same: %+v", lines)
		}
	}}
}

// refusedWith is a reason whose proof is another call, which kz refuses with this code and this part of its answer.
func refusedWith(reason, code string, call func(t *testing.T, c *attempt) []string) cell {
	return cell{reason, func(t *testing.T, c *attempt, _ bed.Result) {
		t.Helper()
		before := len(c.lines())
		ended := c.Run(call(t, c)...)
		c.Clean(ended)
		with := func(l bed.Line) bool { return l.Kind == "refusal" && l.Code == code }
		if ended.Code == 0 || !slices.ContainsFunc(c.lines()[before:], with) {
			t.Errorf("exit code %d, and kz did not refuse with %s:\n%s\n%+v", ended.Code, code, ended.Output(), c.lines()[before:])
		}
	}}
}

// enough is how many clients must work with nothing but kz's environment.
const enough = 20

// TestTheMatrixHasEnoughClients holds what is promised of the matrix as a whole.
func TestTheMatrixHasEnoughClients(t *testing.T) {
	t.Parallel()
	works := 0
	names := map[string]bool{}
	for _, r := range matrixRows() {
		if names[r.client] {
			t.Errorf("%s is there twice", r.client)
		}
		names[r.client] = true
		if r.proxy.reason+r.trust.reason+r.swap.reason == "" {
			works++
		}
	}
	if works < enough {
		t.Errorf("%d clients are ok in all, want %d", works, enough)
	}
}
