package agents_test

import (
	"slices"
	"strings"
	"testing"

	"kz/test/bed"
)

// codexFiles are what `kz help agents` says to write, for the MCP server of the tests, with the API at another URL unless
// that is empty.
func (l *lab) codexFiles(url string) {
	l.t.Helper()
	l.has("codex", bed.Codex(l.t))
	config := shownFile(l.t, "model_provider =")
	const server, api = `command = "github-mcp-server"`, `"https://api.openai.com/v1"`
	if !strings.Contains(config, server) || !strings.Contains(config, api) {
		l.t.Fatalf("the topic shows\n%s", config)
	}
	config = strings.Replace(config, server, "command = '"+bed.Self(l.t)+"'\nargs = [\"@mcp\"]", 1)
	if url != "" {
		config = strings.Replace(config, api, `"`+url+`"`, 1)
	}
	l.write("home/.codex/config.toml", config)
	l.write("home/.git/HEAD", "ref: refs/heads/main\n") // it works in repositories
}

func TestCodex(t *testing.T) {
	t.Parallel()
	l := newLab(t, responses{}, "api.openai.com", "OPENAI_API_KEY")
	l.codexFiles("")
	l.api.calls = l.calls()
	l.holds(t, "codex", ".codex/sessions", l.begin("codex exec"))
}

func TestTheSearchFindsTheKeyOfCodex(t *testing.T) {
	t.Parallel()
	l := newLab(t, responses{}, "api.openai.com", "OPENAI_API_KEY")
	l.codexFiles("http://" + l.api.plain + "/v1")
	l.api.calls = l.calls()[quoting:]
	l.found(t, "codex", ".codex/sessions", l.plainly("codex exec"))
}

// TestCodexOverAWebSocket has the key in the variable that `codex exec` reads itself: it then takes its turns over one
// WebSocket, and calls hosts of its own, none of which it needs.
func TestCodexOverAWebSocket(t *testing.T) {
	t.Parallel()
	l := newLab(t, responses{}, "api.openai.com", "CODEX_API_KEY")
	l.has("codex", bed.Codex(l.t))
	l.write("home/.git/HEAD", "ref: refs/heads/main\n")
	l.write("home/.codex/config.toml", "sandbox_workspace_write.network_access = true\n")
	l.api.calls = l.calls()[:atNone]
	l.api.calls = append(l.api.calls, l.calls()[quoting])
	res := l.begin("codex exec").Wait()
	res.Succeeds(t)
	l.Clean(res)
	turns, results, _, refused := l.api.said()
	if len(results) != len(l.api.calls) || refused > 0 {
		t.Fatalf("it did %q, and had another key %d times", results, refused)
	}
	for _, turn := range turns {
		if turn.over != "WebSocket" {
			t.Errorf("a turn came by %s", turn.over)
		}
	}
	masks := mask.FindAllString(results[atNone], -1)
	if len(masks) != 2 || !strings.Contains(string(turns[len(turns)-1].body), masks[0]) || !strings.Contains(string(res.Stdout), "all done with "+masks[0]) {
		t.Errorf("of the masks %q the last turn is %s, and it prints %s", masks, turns[len(turns)-1].body, res.Stdout)
	}
	if got := l.tokens("api.github.com", "/echo"); !slices.Equal(got, []string{l.values["GITHUB_TOKEN"]}) || !strings.Contains(results[atAnother], "host_not_bound") {
		t.Errorf("%d requests came to GitHub, or others; the refused tool saw %s", len(got), results[atAnother])
	}
	var own int
	for _, line := range l.Audit() {
		if strings.HasSuffix(line.Host, "chatgpt.com") {
			own++
			if line.Kind != "refusal" || line.Code != "egress_denied" {
				t.Errorf("it reached %s", line.Host)
			}
		}
	}
	if own == 0 {
		t.Error("it calls no host of its own: `kz help agents` says that it does")
	}
}

func TestWhatCodexKeepsOfALoginIsAMaskThatEnds(t *testing.T) {
	t.Parallel()
	l := newLab(t, responses{}, "api.openai.com", "OPENAI_API_KEY")
	l.has("codex", bed.Codex(l.t))
	l.write("home/.git/HEAD", "ref: refs/heads/main\n")
	res := l.Run("/bin/sh", "-c", "printenv OPENAI_API_KEY | codex login --with-api-key")
	res.Succeeds(t)
	l.Clean(res)
	if len(l.files(".codex/auth.json", "kz_masked_")) != 1 {
		t.Error("the login is not kept with a mask")
	}
	p := l.begin("codex exec")
	bed.Eventually(t, "the next run refuses it", func() bool {
		return slices.ContainsFunc(l.Audit(), func(line bed.Line) bool { return line.Host == l.host && line.Code == "mask_unknown" })
	})
	l.Clean(p.Stop())
	if turns, _, _, refused := l.api.said(); len(turns)+refused > 0 {
		t.Error("a turn went up")
	}
}
