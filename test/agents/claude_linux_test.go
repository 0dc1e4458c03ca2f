package agents_test

import (
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
