package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheDoctorQuotesNoFileOfTheWorkspace: whoever works there writes its files, and values stand in some of them.
func TestTheDoctorQuotesNoFileOfTheWorkspace(t *testing.T) {
	t.Parallel()
	t.Run("a program's first line does not reach the terminal as it is", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "agent")
		if err := os.WriteFile(path, []byte("#!/bin/\x1b]0;title\x07"+strings.Repeat("x", 300)+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		(&commandReport{Program: "/tmp/\x1b[31magent", Kind: kindOf(path).name, Hosts: []hostReport{{Host: "a\x1b[2J"}}}).print(&b)
		if out := b.String(); strings.ContainsAny(out, "\x1b\x07") || !strings.Contains(out, `script for \x1b]0;title`) || strings.Contains(out, strings.Repeat("x", 80)) {
			t.Errorf("it prints %q", out)
		}
	})
	t.Run("a line within a value is no name", func(t *testing.T) {
		t.Parallel()
		for name, text := range map[string]string{
			"that can be read":    "URLS=\"\npostgres://u:" + canary + "@h/db?key=sk-proj-" + canary + "\n\"\nMY_TOKEN=" + canary + "\n",
			"that cannot be read": "URLS=\"\npostgres://u:" + canary + "@h/db?key=sk-proj-" + canary + "\nMY_TOKEN=" + canary + "\n",
		} {
			t.Run("of a file "+name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				credentials, _ := examineDotenv(dir, isDotenv)
				if all := strings.Join(credentials, "\n"); strings.Contains(all, canary) || !strings.Contains(all, "MY_TOKEN in .env") || len(credentials) != 2 {
					t.Errorf("it names %q", credentials)
				}
			})
		}
	})
}
