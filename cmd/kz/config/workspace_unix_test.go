//go:build unix

package config

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWorkspace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, from, want string
		files            map[string]string
	}{
		{"the repository around", "repo/a/b", "repo", map[string]string{"repo/.git/HEAD": "", "repo/a/b/x": ""}},
		{"also when a configuration lies below its root", "repo/a/b", "repo", map[string]string{"repo/.git/HEAD": "", "repo/a/.keyzero.toml": "", "repo/a/b/x": ""}},
		{"where a configuration is, without a repository", "w/a", "w", map[string]string{"w/.keyzero.yaml": "", "w/a/x": ""}},
		{"none without either", "w/a", "", map[string]string{"w/a/x": ""}},
		{"never the home directory", "home", "", map[string]string{"home/.git/HEAD": "", "home/.keyzero.toml": ""}},
		{"a repository below the home directory", "home/src", "home/src", map[string]string{"home/.git/HEAD": "", "home/src/.git": "gitdir: x"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tr := newTree(t, tt.files)
			if err := os.RemoveAll(filepath.Join(tr.dir, ".git")); err != nil {
				t.Fatal(err)
			}
			tr.env["HOME"] = filepath.Join(tr.dir, "home")
			want := ""
			if tt.want != "" {
				want = filepath.Join(tr.dir, tt.want)
			}
			if got := Workspace(filepath.Join(tr.dir, tt.from), tr.options().Getenv); got != want {
				t.Errorf("it is %q, want %q", got, want)
			}
		})
	}
}

func TestInside(t *testing.T) {
	t.Parallel()
	tr := newTree(t, map[string]string{"repo/x": "", "other/x": ""})
	repo := filepath.Join(tr.dir, "repo")
	for link, to := range map[string]string{"into": "repo", "repo/out": "../other"} {
		if err := os.Symlink(to, filepath.Join(tr.dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]bool{
		"repo": true, "repo/x": true, "repo/new/dir/file": true, "into/new": true, "other/../repo/y": true,
		"repository": false, "other/x": false, "repo/../new": false, "repo/out/new": false, "new": false,
	} {
		if got := Inside(filepath.Join(tr.dir, path), repo); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	if Inside(repo, "") {
		t.Error("something lies in no workspace")
	}
}

func TestADiscoveredFileThatOthersMayWriteIsRefused(t *testing.T) {
	t.Parallel()
	tr := newTree(t, map[string]string{".keyzero.toml": oneSecret, ".keyzero.local.toml": ""})
	for _, name := range []string{".keyzero.toml", ".keyzero.local.toml"} {
		path := filepath.Join(tr.dir, name)
		if err := os.Chmod(path, 0o646); err != nil {
			t.Fatal(err)
		}
		_, err := tr.load()
		expect(t, err, name+": anyone may write this file, so its backends cannot be trusted → read it, then `chmod 600` it")
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tr.mustLoad()
}

func TestAFileOfTheUsersInTheWorkspaceNeedsApproval(t *testing.T) {
	t.Parallel()
	tr := newTree(t, map[string]string{".git/HEAD": "", "config/keyzero/config.toml": oneSecret})
	tr.env["XDG_CONFIG_HOME"] = filepath.Join(tr.dir, "config")
	if cfg := tr.mustLoad(); len(cfg.Sources) != 1 || !cfg.Sources[0].Discovered {
		t.Errorf("the sources are %+v", cfg.Sources)
	}
}

func TestASummaryCannotPretendToHaveOtherLines(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain text": "plain text", "": "",
		"a          egress": `"a          egress"`,
		" a":                `" a"`,
		"a\x1b[2J":          `"a\x1b[2J"`,
		"a\n  egress":       `"a\n  egress"`,
		"а":                 `"\u0430"`, // Cyrillic
	} {
		if got := printable(text); got != want {
			t.Errorf("%q is shown as %s", text, got)
		}
	}
}
