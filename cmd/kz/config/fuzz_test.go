package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
)

func seed(f *testing.F, extra ...string) {
	for _, s := range append(extra, everythingTOML, everythingYAML, sectioned, awsBundle, threeCloudsBundle, oneSecret,
		"a: &a [x]\nb: [*a, *a]\n", "<<: {a: b}\n", "a.b.c = 1\n[a.b]\nd = 2\n[[x]]\n[[x]]\ny.z = {w.v = 1}\n") {
		f.Add([]byte(s))
	}
}

// through runs a file of the given name through everything that a file goes through.
func through(t *testing.T, name string, data []byte) {
	cfg, err := buildOne(name, data, "")
	if err != nil {
		if len(lines(err)) > maxProblems+1 {
			t.Errorf("there are %d problems", len(lines(err)))
		}
		return
	}
	_ = cfg.Blind(false)
	for _, s := range cfg.Describe() {
		for _, c := range s.String() {
			if c >= 0x7f || c < ' ' && c != '\n' {
				t.Fatalf("the summary holds %q", c)
			}
		}
	}
	seen := map[string]bool{}
	for _, s := range cfg.Secrets {
		if _, ok := cfg.Backends[s.Backend]; !ok || !isVariable(s.Name) || seen[s.Name] || len(s.Places) == 0 || s.Ref.ID == "" || reserved(s.Name) {
			t.Errorf("a secret is not usable: %+v", s)
		}
		seen[s.Name] = true
	}
	for _, env := range cfg.Environments {
		_, _ = buildOne(name, data, env)
	}
}

// buildOne builds the configuration of one file without touching the disk.
func buildOne(name string, data []byte, env string) (*Config, error) {
	o := Options{Env: env, Getenv: func(string) string { return "" }}
	return build(o, []input{{found: found{shown: name}, data: data, source: Source{RealPath: "/src/" + name}}})
}

// FuzzTOML checks that a file never makes kz panic, and that it is read as the library's own decoder reads it.
func FuzzTOML(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		through(t, "f.toml", data)
		if !utf8.Valid(data) {
			return
		}
		root, problem := parseTOML("f.toml", data)
		var want map[string]any
		err := toml.Unmarshal(data, &want)
		switch {
		case problem != nil && err == nil:
			if !strings.Contains(problem.Message, "too many") && !strings.Contains(problem.Message, "too deep") {
				t.Errorf("refused: %s", problem.Message)
			}
		case problem == nil && err != nil:
			// The decoder also checks dates and the range of numbers, which have no use here.
			if !hasOther(root) {
				t.Errorf("accepted, although: %v", err)
			}
		case problem == nil:
			if got := plain(root); !reflect.DeepEqual(got, any(want)) && !hasOther(root) {
				t.Errorf("read as %v, want %v", got, want)
			}
		}
	})
}

// FuzzYAML checks that a file never makes kz panic or spend without bounds.
func FuzzYAML(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, data []byte) { through(t, "f.yaml", data) })
}

// plain is a tree as the decoders make it.
func plain(n *node) any {
	switch n.kind {
	case textKind:
		return n.text
	case intKind:
		return n.number
	case boolKind:
		return n.yes
	case listKind:
		out := make([]any, 0, len(n.items))
		for _, v := range n.items {
			out = append(out, plain(v))
		}
		return out
	case tableKind:
		out := map[string]any{}
		for _, f := range n.fields {
			out[f.key] = plain(f.value)
		}
		return out
	}
	return nil
}

func hasOther(n *node) bool {
	if n.kind == otherKind {
		return true
	}
	for _, v := range n.items {
		if hasOther(v) {
			return true
		}
	}
	for _, f := range n.fields {
		if hasOther(f.value) {
			return true
		}
	}
	return false
}

func BenchmarkLoad(b *testing.B) {
	for _, name := range []string{"k.toml", "k.yaml"} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			text := everythingTOML
			if name == "k.yaml" {
				text = everythingYAML
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Load(Options{Dir: dir, File: name, Getenv: func(string) string { return "" }}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
