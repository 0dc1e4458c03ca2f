package e2e_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"kz/test/bed"
	"kz/test/origin"
)

func TestMain(m *testing.M) {
	programs := map[string]func([]string) int{"@get": goGet, "@post": goPost, "@grpc": goGRPC, "@websocket": goWebSocket, "@goproxy": runGoproxy}
	maps.Copy(programs, platformPrograms)
	bed.Main(m, programs)
}

// goGet is a plain Go client: it gets the URL with API_KEY as its bearer token.
func goGet(args []string) int {
	r, err := http.NewRequest("GET", args[0], nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	r.Header.Set("Authorization", "Bearer "+os.Getenv("API_KEY"))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer resp.Body.Close()
	_, _ = io.Copy(os.Stdout, resp.Body)
	return 0
}

// mask is what a child holds in place of a value.
var mask = regexp.MustCompile(`kz_masked_[0-9a-f]{32}`)

// received is what the origin got at a path: all of it done, or the test ends.
func received(t *testing.T, b *bed.Bed, path string) []origin.Record {
	t.Helper()
	var list []origin.Record
	bed.Eventually(t, "requests for "+path+" have come in", func() bool {
		list = nil
		for _, r := range b.Origin.Requests() {
			if !r.Done {
				return false
			}
			if r.Path == path {
				list = append(list, r)
			}
		}
		return len(list) > 0
	})
	return list
}

// audited finds the audit line of a request.
func audited(t *testing.T, b *bed.Bed, host, path string) bed.Line {
	t.Helper()
	lines := b.Audit()
	for _, l := range lines {
		if l.Host == host && l.Path == path {
			return l
		}
	}
	t.Fatalf("no audit line for %s%s among %d", host, path, len(lines))
	return bed.Line{}
}

// shell runs a script under sh.
func shell(script string) []string { return []string{"/bin/sh", "-c", script} }

// field is the first line of the output that begins with name and a colon.
func field(output, name string) string {
	for line := range strings.Lines(output) {
		if v, ok := strings.CutPrefix(line, name+": "); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
