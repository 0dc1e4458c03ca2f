package bed

import (
	"os"
	"path/filepath"
	"testing"
)

// Claude is Claude Code, the program itself without npm's launcher.
func Claude(t testing.TB) string {
	t.Helper()
	return agent(t, "Claude Code", "@anthropic-ai/claude-code-linux-*/claude")
}

// Codex is Codex, the program itself without npm's launcher.
func Codex(t testing.TB) string {
	t.Helper()
	return agent(t, "Codex", "@openai/codex-linux-*/vendor/*/bin/codex")
}

func agent(t testing.TB, name, pattern string) string {
	t.Helper()
	dir := os.Getenv("KZ_TEST_AGENTS")
	if dir == "" {
		dir = filepath.Join(CacheDir(), "agents")
	}
	found, err := filepath.Glob(filepath.Join(dir, "node_modules", filepath.FromSlash(pattern)))
	if err != nil || len(found) == 0 {
		Missing(t, name+", which `test/run` installs or KZ_TEST_AGENTS has")
	}
	return found[0]
}
