package agents_test

import (
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
