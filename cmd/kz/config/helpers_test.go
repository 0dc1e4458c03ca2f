package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// tree is a directory with files, a home directory without configuration, and an environment of its own.
type tree struct {
	t    *testing.T
	dir  string
	home string
	env  map[string]string
}

func newTree(t *testing.T, files map[string]string) *tree {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	tr := &tree{t: t, dir: filepath.Join(root, "work"), home: filepath.Join(root, "home")}
	tr.env = map[string]string{"HOME": tr.home}
	tr.mkdir(tr.home)
	tr.mkdir(filepath.Join(tr.dir, ".git"))
	for name, text := range files {
		tr.write(name, text)
	}
	return tr
}

func (tr *tree) mkdir(dir string) {
	tr.t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		tr.t.Fatal(err)
	}
}

// write puts a file below the work directory; "~/" stands for the home directory.
func (tr *tree) write(name, text string) string {
	tr.t.Helper()
	p := filepath.Join(tr.dir, name)
	if name[0] == '~' {
		p = filepath.Join(tr.home, name[2:])
	}
	tr.mkdir(filepath.Dir(p))
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		tr.t.Fatal(err)
	}
	return p
}

func (tr *tree) options() Options {
	return Options{Dir: tr.dir, Getenv: func(k string) string { return tr.env[k] }}
}

func (tr *tree) load() (*Config, error) { return Load(tr.options()) }

func (tr *tree) mustLoad() *Config {
	tr.t.Helper()
	cfg, err := tr.load()
	if err != nil {
		tr.t.Fatalf("loading: %v", err)
	}
	return cfg
}

// loadTOML loads one .keyzero.toml.
func loadTOML(t *testing.T, text string) (*Config, error) {
	t.Helper()
	return newTree(t, map[string]string{".keyzero.toml": text}).load()
}

func mustTOML(t *testing.T, text string) *Config {
	t.Helper()
	cfg, err := loadTOML(t, text)
	if err != nil {
		t.Fatalf("loading: %v", err)
	}
	return cfg
}

func loadYAML(t *testing.T, text string) (*Config, error) {
	t.Helper()
	return newTree(t, map[string]string{".keyzero.yaml": text}).load()
}

func secret(t *testing.T, cfg *Config, name string) Secret {
	t.Helper()
	for _, s := range cfg.Secrets {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no secret %s in %v", name, names(cfg))
	return Secret{}
}

func names(cfg *Config) []string {
	var out []string
	for _, s := range cfg.Secrets {
		out = append(out, s.Name)
	}
	return out
}

// lines is one line per problem, with its hint after "→".
func lines(err error) []string {
	if err == nil {
		return nil
	}
	var ps Problems
	if !errors.As(err, &ps) {
		return []string{"NOT PROBLEMS: " + err.Error()}
	}
	var out []string
	for _, p := range ps {
		l := p.Error()
		if p.Hint != "" {
			l += " → " + p.Hint
		}
		out = append(out, l)
	}
	return out
}
