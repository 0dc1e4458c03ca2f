package config

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestTheCommandOfABackendIsAnAbsolutePath(t *testing.T) {
	t.Parallel()
	load := func(command string) (*Config, error) {
		return newTree(t, map[string]string{".keyzero.toml": "[backends.p]\ntype = \"exec\"\ncommand = " + command + "\nargs = [\"show\", \"{id}\"]\n[secrets.A]\n"}).load()
	}
	for _, relative := range []string{`"pass"`, `"./pass"`, `"bin/pass"`, `"../pass"`, `"~pass"`, `"~"`} {
		_, err := load(relative)
		if err == nil || !strings.Contains(err.Error(), `:3:11: "command" is not an absolute path`) {
			t.Errorf("%s: %v", relative, err)
		}
	}
	cfg, err := load(`"/usr/bin/../bin/pass"`)
	if err != nil || cfg.Backends["p"].Text("command") != "/usr/bin/pass" {
		t.Error(err)
	}
	if cfg, err = load(`"~/bin/get"`); err != nil || !strings.HasSuffix(cfg.Backends["p"].Text("command"), "/home/bin/get") || !filepath.IsAbs(cfg.Backends["p"].Text("command")) {
		t.Error(err)
	}
}

func TestAnApprovalShowsWhatABackendRuns(t *testing.T) {
	t.Parallel()
	tr := newTree(t, map[string]string{
		".keyzero.toml":       "[backends.p]\ntype = \"exec\"\ncommand = \"/usr/bin/pass\"\nargs = [\"show\", \"{id}\\u202e\"]\nkeep_env = [\"GNUPGHOME\"]\n[secrets.A]\n",
		".keyzero.local.toml": "[backends.p]\nargs = [\"rm\", \"-f\"]\n",
	})
	all := tr.mustLoad().Describe()
	for i, want := range []string{`/usr/bin/pass, show, "{id}\u202e"`, `rm, -f`} {
		if got := all[i].String(); !strings.Contains(got, "note: the backend p runs a program as you, outside of the session, and what it does is not part of the approval: "+want+"\n") {
			t.Errorf("the summary is\n%s", got)
		}
	}
	if got := all[0].String(); !strings.Contains(got, "keep_env GNUPGHOME") {
		t.Errorf("the summary is\n%s", got)
	}
}
