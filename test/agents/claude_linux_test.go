package agents_test

import (
	"net/http"
	"strings"
	"testing"

	"kz/test/bed"
)

// claudeFiles are of someone who has used Claude Code before, with an MCP server.
func (l *lab) claudeFiles() {
	l.has("claude", bed.Claude(l.t))
	server := object{"type": "stdio", "command": bed.Self(l.t), "args": []string{"@mcp"}}
	l.write("home/.claude.json", string(encode(object{
		"hasCompletedOnboarding": true, "mcpServers": object{"github": server},
		"projects": object{l.Path("home"): object{"hasTrustDialogAccepted": true}},
	})))
	l.write("home/.claude/settings.json", string(encode(object{"permissions": object{"allow": []string{"mcp__github"}}})))
}

func TestClaudeCode(t *testing.T) {
	t.Parallel()
	l := newLab(t, messages{}, "api.anthropic.com", "ANTHROPIC_API_KEY")
	l.claudeFiles()
	l.api.calls = l.calls()
	l.holds(t, "claude", ".claude/projects", l.begin("claude -p"))
}

func TestTheSearchFindsTheKeyOfClaudeCode(t *testing.T) {
	t.Parallel()
	l := newLab(t, messages{}, "api.anthropic.com", "ANTHROPIC_API_KEY")
	l.claudeFiles()
	l.api.calls = l.calls()[quoting:]
	l.found(t, "claude", ".claude/projects", l.plainly("claude -p", "ANTHROPIC_BASE_URL=http://"+l.api.plain))
}

// bearer is the Messages API as a login of a subscription uses it.
type bearer struct{ messages }

func (bearer) credential(h http.Header) string { return responses{}.credential(h) }

func TestClaudeCodeWithASubscription(t *testing.T) {
	t.Parallel()
	l := newLab(t, bearer{}, "api.anthropic.com", "CLAUDE_CODE_OAUTH_TOKEN")
	l.claudeFiles()
	l.api.calls = l.calls()[:atAnother]
	res := l.begin("claude -p").Wait()
	res.Succeeds(t)
	l.Clean(res)
	if _, results, _, refused := l.api.said(); len(results) != 1 || refused > 0 || !strings.Contains(string(res.Stdout), "all done with kz_masked_") {
		t.Errorf("it did %q, had another token %d times, and prints %s", results, refused, res.Stdout)
	}
}
