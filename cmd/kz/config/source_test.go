package config

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const oneSecret = "[backends.e]\ntype = 'env'\n[secrets.A]\n"

// sources are the paths of cfg, relative to the tree's work directory.
func (tr *tree) sources(cfg *Config) []string {
	tr.t.Helper()
	var out []string
	for _, s := range cfg.Sources {
		rel, err := filepath.Rel(tr.dir, s.Path)
		if err != nil {
			tr.t.Fatal(err)
		}
		out = append(out, rel)
	}
	return out
}

func TestWalkingUp(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		files map[string]string // "DIR/" makes a directory
		from  string
		want  []string
	}{
		{"nothing is found", nil, ".", nil},
		{"in the directory itself", map[string]string{".keyzero.toml": oneSecret}, ".", []string{".keyzero.toml"}},
		{"in a parent", map[string]string{".keyzero.yml": "{}", "a/b/c/": ""}, "a/b/c", []string{".keyzero.yml"}},
		{"the nearest wins, with the local file beside it", map[string]string{
			".keyzero.toml": oneSecret, ".keyzero.local.toml": "", "a/.keyzero.yaml": "", "a/.keyzero.local.yml": "", "a/b/": "",
		}, "a/b", []string{"a/.keyzero.yaml", "a/.keyzero.local.yml"}},
		{"a local file elsewhere is not read", map[string]string{".keyzero.toml": oneSecret, "a/.keyzero.local.toml": "x"}, "a", []string{".keyzero.toml"}},
		{"a local file alone is not read", map[string]string{".keyzero.local.toml": "x"}, ".", nil},
		{"not past the root of a repository", map[string]string{".keyzero.toml": oneSecret, "repo/.git/": "", "repo/a/": ""}, "repo/a", nil},
		{"not past the root of a worktree, where .git is a file", map[string]string{".keyzero.toml": oneSecret, "repo/.git": "gitdir: x", "repo/a/": ""}, "repo/a", nil},
		{"the root of a repository itself", map[string]string{"repo/.keyzero.toml": oneSecret, "repo/.git/": "", "repo/a/": ""}, "repo/a", []string{"repo/.keyzero.toml"}},
		{"not past the home directory", map[string]string{".keyzero.toml": oneSecret, "home/a/": ""}, "home/a", nil},
		{"the home directory itself", map[string]string{"home/.keyzero.toml": oneSecret, "home/a/": ""}, "home/a", []string{"home/.keyzero.toml"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tr := newTree(t, nil)
			tr.env["HOME"] = filepath.Join(tr.dir, "home")
			for name, text := range tt.files {
				if strings.HasSuffix(name, "/") {
					tr.mkdir(filepath.Join(tr.dir, name))
				} else {
					tr.write(name, text)
				}
			}
			o := tr.options()
			o.Dir = filepath.Join(tr.dir, tt.from)
			cfg, err := Load(o)
			if err != nil {
				t.Fatal(err)
			}
			if got := tr.sources(cfg); !slices.Equal(got, tt.want) {
				t.Errorf("read %v, want %v", got, tt.want)
			}
		})
	}
}

func TestTwoFilesInOneDirectoryAreAnError(t *testing.T) {
	t.Parallel()
	for _, names := range [][2]string{
		{".keyzero.toml", ".keyzero.yaml"}, {".keyzero.yaml", ".keyzero.yml"}, {".keyzero.local.toml", ".keyzero.local.yaml"},
	} {
		tr := newTree(t, map[string]string{names[0]: "", names[1]: ""})
		if strings.Contains(names[0], "local") {
			tr.write(".keyzero.toml", "")
		}
		_, err := tr.load()
		expect(t, err, filepath.Join(tr.dir, names[1])+": there is also "+names[0]+" in the same directory → keep one of them")
	}
}

func TestTheHashIsOfTheBytesThatWereParsed(t *testing.T) {
	t.Parallel()
	text := "\ufeff" + oneSecret
	tr := newTree(t, map[string]string{".keyzero.toml": text})
	cfg := tr.mustLoad()
	sum := sha256.Sum256([]byte(text))
	src := cfg.Sources[0]
	if src.SHA256 != hex.EncodeToString(sum[:]) || !src.Discovered || src.RealPath != filepath.Join(tr.dir, ".keyzero.toml") {
		t.Errorf("the source is %+v", src)
	}
	if len(cfg.Secrets) != 1 {
		t.Error("a byte order mark hides the content")
	}
}

func TestASymbolicLinkIsTheFileItLeadsTo(t *testing.T) {
	t.Parallel()
	tr := newTree(t, map[string]string{"../elsewhere/shared.toml": "[backends.f]\ntype = 'env_file'\npath = 's.env'"})
	if err := os.Symlink("../elsewhere/shared.toml", filepath.Join(tr.dir, ".keyzero.toml")); err != nil {
		t.Fatal(err)
	}
	cfg := tr.mustLoad()
	real := filepath.Join(filepath.Dir(tr.dir), "elsewhere", "shared.toml")
	if src := cfg.Sources[0]; src.RealPath != real || src.Path != filepath.Join(tr.dir, ".keyzero.toml") || !src.Discovered {
		t.Errorf("the source is %+v", src)
	}
	// Else an approved file would mean something else wherever a link to it is put.
	if got := cfg.Backends["f"].Text("path"); got != filepath.Join(filepath.Dir(real), "s.env") {
		t.Errorf("a relative path is %s", got)
	}
}

func TestTheWalkFollowsRealParents(t *testing.T) {
	t.Parallel()
	tr := newTree(t, map[string]string{"real/.keyzero.toml": oneSecret, "real/sub/x": "", ".keyzero.toml": "[secrets.WRONG]"})
	if err := os.Symlink(filepath.Join(tr.dir, "real", "sub"), filepath.Join(tr.dir, "link")); err != nil {
		t.Fatal(err)
	}
	o := tr.options()
	o.Dir = filepath.Join(tr.dir, "link")
	cfg, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	if got := tr.sources(cfg); !slices.Equal(got, []string{"real/.keyzero.toml"}) {
		t.Errorf("read %v", got)
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	load := func(prepare func(tr *tree)) []string {
		tr := newTree(t, nil)
		prepare(tr)
		_, err := tr.load()
		return lines(err)
	}
	tests := []struct {
		name    string
		prepare func(tr *tree)
		want    string
	}{
		{"too large", func(tr *tree) { tr.write(".keyzero.toml", strings.Repeat("#", maxFile+1)) }, ".keyzero.toml: the file is larger than 1 MiB → a configuration is small: see `kz help configuration`"},
		{"not UTF-8", func(tr *tree) { tr.write(".keyzero.toml", "# \xff") }, ".keyzero.toml: the file is not UTF-8 text"},
		{"a directory", func(tr *tree) { tr.mkdir(filepath.Join(tr.dir, ".keyzero.toml")) }, ".keyzero.toml: this is not a regular file → put a file in its place, or take it away"},
		{"a link to nothing", func(tr *tree) { _ = os.Symlink("nope", filepath.Join(tr.dir, ".keyzero.toml")) },
			".keyzero.toml: reading the file: no such file or directory → it is a link to nothing: remove it, or make the file"},
		{"the local file beside a good one", func(tr *tree) {
			tr.write(".keyzero.toml", oneSecret)
			tr.mkdir(filepath.Join(tr.dir, ".keyzero.local.toml"))
		}, ".keyzero.local.toml: this is not a regular file → put a file in its place, or take it away"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := load(tt.prepare); !slices.Equal(got, []string{tt.want}) {
				t.Errorf("problems are %v, want %s", got, tt.want)
			}
		})
	}
}

func TestAFileGivenByNameThatIsNotThereOrOfNoFormat(t *testing.T) {
	t.Parallel()
	tr := newTree(t, map[string]string{"config.txt": oneSecret, "c.TOML": oneSecret})
	for file, want := range map[string][]string{
		"nope.toml":  {"nope.toml: reading the file: no such file or directory → check the path; without --config the .keyzero.toml of this directory or the nearest one above is taken"},
		"config.txt": {"config.txt: the name ends in none of .toml, .yaml and .yml, so its format is unknown"},
		"c.TOML":     nil,
	} {
		o := tr.options()
		o.File = file
		if _, err := Load(o); !slices.Equal(lines(err), want) {
			t.Errorf("%s gives %v", file, lines(err))
		}
	}
}

func TestWithoutAnyFileTheConfigurationIsEmpty(t *testing.T) {
	t.Parallel()
	cfg, err := Load(Options{Dir: newTree(t, nil).dir, Getenv: func(string) string { return "" }})
	if err != nil || len(cfg.Sources) != 0 || len(cfg.Secrets) != 0 {
		t.Errorf("the configuration is %+v, %v", cfg, err)
	}
}

func TestARelativeXDGDirectoryIsIgnored(t *testing.T) {
	t.Parallel()
	tr := newTree(t, map[string]string{"~/.config/keyzero/config.toml": oneSecret})
	tr.env["XDG_CONFIG_HOME"] = "relative"
	if cfg := tr.mustLoad(); len(cfg.Secrets) != 1 || cfg.Sources[0].Discovered {
		t.Errorf("sources are %+v", cfg.Sources)
	}
}
