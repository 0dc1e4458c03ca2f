package agents_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"kz/test/bed"
)

var mask = regexp.MustCompile(`kz_masked_[0-9a-f]{32}`)

// holds has an agent go through all calls, and looks at what came of each. transcripts is where below HOME it keeps them.
func (l *lab) holds(t *testing.T, agent, transcripts string, p *bed.Process) {
	t.Helper()
	programs, hits := l.look(p, l.values)
	res := p.Wait()
	turns, results, others, refused := l.api.said()
	if len(results) != len(l.api.calls) {
		t.Fatalf("the agent has done %d of %d calls:\n%q\n%s", len(results), len(l.api.calls), results, res.Output())
	}
	masks := mask.FindAllString(results[quoting], -1)
	if len(masks) != 2 || masks[0] == masks[1] {
		t.Fatalf("it sees %s", results[quoting])
	}
	keyMask, tokenMask := masks[0], masks[1]
	audit := l.Audit()

	t.Run("it does what it is told, and its key is at its API", func(t *testing.T) {
		res.Succeeds(t)
		if refused > 0 {
			t.Errorf("%d turns had another key", refused)
		}
	})
	t.Run("a key that the API says is a mask again", func(t *testing.T) {
		if !strings.Contains(string(res.Stdout), "all done with "+keyMask) {
			t.Errorf("it prints %s", res.Stdout)
		}
	})
	t.Run("a token that a tool sends is swapped at its host", func(t *testing.T) {
		if got := l.tokens("api.github.com", "/echo"); !slices.Equal(got, []string{l.values["GITHUB_TOKEN"]}) {
			t.Errorf("%d requests came, or others", len(got))
		}
		if r := results[atItsHost]; !strings.Contains(r, "status 200") || !strings.Contains(r, tokenMask) {
			t.Errorf("the tool saw %s", r)
		}
	})
	t.Run("it is refused at the host of another", func(t *testing.T) {
		if r := results[atAnother]; !strings.Contains(r, "status 403") || !strings.Contains(r, "host_not_bound") {
			t.Errorf("the tool saw %s", r)
		}
		if slices.Contains(others, "GET /wrong") {
			t.Error("the request went up")
		}
	})
	t.Run("it stays a mask at a host that has no secret", func(t *testing.T) {
		if got := l.tokens("evil.test", "/echo"); !slices.Equal(got, []string{tokenMask}) {
			t.Errorf("%d requests came, or others", len(got))
		}
	})
	t.Run("an MCP server of the agent's has the mask and the way", func(t *testing.T) {
		if got := l.tokens("api.github.com", "/user"); !slices.Equal(got, []string{l.values["GITHUB_TOKEN"]}) {
			t.Errorf("%d requests came, or others", len(got))
		}
		if r := results[byMCP]; !strings.Contains(r, tokenMask+": 200 OK") {
			t.Errorf("the tool saw %s", r)
		}
	})
	t.Run("a transcript that quotes masks goes on working", func(t *testing.T) {
		var quoted int
		for _, turn := range turns {
			if strings.Contains(string(turn.body), keyMask) && strings.Contains(string(turn.body), tokenMask) {
				quoted++
			}
		}
		if quoted == 0 {
			t.Error("no turn quotes both masks")
		}
		for _, line := range audit {
			if line.Host == l.host && line.Path == l.api.speaks.path() && line.Status != 200 && line.Status != 101 {
				t.Errorf("a turn ended with %d %s", line.Status, line.Code)
			}
		}
	})
	t.Run("no process of its has a value", func(t *testing.T) {
		for _, name := range []string{" " + agent + " ", " agents.test ", " sh "} {
			if !strings.Contains(programs, name) {
				t.Errorf("%s is not among%s", name, programs)
			}
		}
		if len(hits) > 0 {
			t.Errorf("%q", hits)
		}
	})
	t.Run("nor has a file, a transcript or what it prints", func(t *testing.T) {
		l.Clean(res)
		if len(l.files(transcripts, tokenMask)) == 0 {
			t.Error("no transcript quotes the mask")
		}
		for _, turn := range turns {
			for name, value := range l.values {
				if strings.Contains(string(turn.body), value) {
					t.Errorf("a turn tells the model the value of %s", name)
				}
			}
		}
	})
	t.Run("it reaches no other host", func(t *testing.T) {
		for _, line := range audit {
			if line.Kind != "refusal" && !slices.Contains([]string{l.host, "api.github.com", "github.com", "evil.test"}, line.Host) {
				t.Errorf("it reached %s", line.Host)
			}
		}
	})
	if !t.Failed() {
		t.Logf("client: %s | %s | ok | ok | ok", agent, l.version(agent)) // as the matrix of test/e2e has it
	}
}

// tokens are the bearer tokens of the requests for a path of a host.
func (l *lab) tokens(host, path string) (list []string) {
	for _, r := range l.Origin.Requests() {
		if r.SNI == host && r.Path == path {
			list = append(list, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		}
	}
	return list
}

// found holds that the same search finds the values of an agent that runs with them.
func (l *lab) found(t *testing.T, agent, transcripts string, p *bed.Process) {
	t.Helper()
	_, hits := l.look(p, map[string]string{l.key: l.values[l.key]})
	res := p.Wait()
	res.Succeeds(t)
	for _, where := range []string{"environ", "memory"} {
		if !slices.ContainsFunc(hits, func(hit string) bool {
			return strings.HasPrefix(hit, l.key+" in "+agent+":") && strings.Contains(hit, where)
		}) {
			t.Errorf("its key is not found in its %s: %q", where, hits)
		}
	}
	if len(l.files(transcripts, l.values[l.key])) == 0 {
		t.Error("its key is in no transcript")
	}
	leaks := strings.Join(l.Leaks(res), "\n")
	for _, where := range []string{transcripts, "standard output"} {
		if !strings.Contains(leaks, where) {
			t.Errorf("nothing is found in %s:\n%s", where, leaks)
		}
	}
}
