package cli

import (
	"fmt"
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

func TestADirectoryFullOfDotenvFilesKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	const line = 1 << 10 // bytes, each a credential
	for _, tc := range []struct {
		what         string
		files, lines int
	}{{"files that are large", 3, 256}, {"files without end", 300, 1}} {
		t.Run(tc.what, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			var text strings.Builder
			for i := range tc.lines {
				name := fmt.Sprintf("A%03d_TOKEN=", i)
				text.WriteString(name + strings.Repeat("x", line-len(name)-1) + "\n")
			}
			for i := range tc.files {
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf(".env.%d", i)), []byte(text.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if credentials, _ := examineDotenv(dir, isDotenv); len(credentials) != dotenvRoom/line {
				t.Errorf("it has looked at %d credentials", len(credentials))
			}
		})
	}
	t.Run("files that are empty", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		for i := range 300 {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf(".env.%03d", i)), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, ".env.last"), []byte("A_TOKEN=x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if credentials, _ := examineDotenv(dir, isDotenv); len(credentials) > 0 {
			t.Errorf("it has opened all of them, and found %q", credentials)
		}
	})
}
