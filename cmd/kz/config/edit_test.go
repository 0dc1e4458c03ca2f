package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var editGiven = []Given{
	{Key: "address", Setting: Setting{Value: `https://v.test:8200/"q"\`}},
	{Key: "number", Setting: Setting{Value: 900}},
	{Key: "args", Setting: Setting{Value: []string{"a b", "ü\t#", "{id}"}}},
	{Key: "token", Setting: Setting{Secret: "BOOT"}},
}

func TestABackendIsAddedAndRemovedAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, text string }{
		"an empty TOML file":                {"c.toml", ""},
		"comments at the end":               {"c.toml", "[secrets.A]\nname = \"x\" # why\n\n# the end\n"},
		"lines that end as on Windows":      {"c.toml", "[secrets.A]\r\nname = \"x\"\r\n"},
		"other backends":                    {"c.toml", "[backends]\nother = { type = \"env\" }\n[backends.third]\ntype = \"env\"\n"},
		"dotted keys":                       {"c.toml", "backends.other.type = \"env\"\n"},
		"a mark at the beginning":           {"c.toml", "\ufeff[secrets.A]\nname = \"x\"\n"},
		"text of several lines":             {"c.toml", "[secrets.A]\nname = \"\"\"\n[backends.new]\n# no comment\"\"\"\n"},
		"a section":                         {"c.toml", "[production.backends.new]\ntype = \"env\"\n"},
		"a YAML block":                      {"c.yaml", "backends:\n  other:\n    type: env\nsecrets:\n  A:\n    name: x\n"},
		"a YAML block with wide indents":    {"c.yaml", "backends:\n      other:\n            type: env # why\n\n# of the secrets\nsecrets:\n  A: {name: x}\n"},
		"a YAML block at the end":           {"c.yml", "secrets:\n  A:\n    name: x\nbackends:\n  # all of them\n  other:\n    type: env\n\n# the end\n"},
		"YAML with Windows lines":           {"c.yaml", "backends:\r\n  other:\r\n    type: env\r\nsecrets:\r\n  A:\r\n    name: x\r\n"},
		"YAML backends with nothing in it":  {"c.yaml", "backends:\nsecrets:\n  A:\n    name: x\n"},
		"YAML text of several lines":        {"c.yaml", "backends:\n  other:\n    type: env\n    path: |\n      a\n\n      # b\nsecrets: {}\n"},
		"YAML whose keys are in quotes":     {"c.yaml", "\"backends\":\n  'other':\n    type: env\n"},
		"YAML whose block is indented less": {"c.yaml", "backends:\n other:\n  type: env\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, backend := range []string{"new", "a.b", "1", "true"} {
				added, err := AddBackend(c.file, []byte(c.text), backend, HashicorpVault, editGiven)
				if err != nil {
					t.Fatalf("adding %s: %v", backend, err)
				}
				if without := remainder(string(added), c.text); without == "" {
					t.Errorf("more than an addition:\n%s", added)
				}
				back, err := RemoveBackend(c.file, added, backend)
				if err != nil {
					t.Fatalf("removing %s from\n%s: %v", backend, added, err)
				}
				if string(back) != c.text {
					t.Errorf("%q became %q by way of\n%s", c.text, back, added)
				}
			}
		})
	}
}

// remainder is what was put into a text at one place; "" when that is not all that happened.
func remainder(after, before string) string {
	for i := 0; i <= len(before); i++ {
		if strings.HasPrefix(after, before[:i]) && strings.HasSuffix(after, before[i:]) && len(after) > len(before) {
			return after[i : len(after)-len(before)+i]
		}
	}
	return ""
}

func TestRemovingABackend(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, text, want string }{
		"with its tables and the comments in it, not those around": {"c.toml",
			"# of all\n\n# of v\n[backends.v] # here\n# inner\ntype = \"env\"\n\n[backends.v.token]\nsecret = \"A\"\n\n# of A\n[secrets.A]\n",
			"# of all\n\n# of v\n\n# of A\n[secrets.A]\n"},
		"in several places":                                  {"c.toml", "backends.v.type = \"env\"\nbackends.w.type = \"env\"\nbackends.v.token = { secret = \"A\" }\n", "backends.w.type = \"env\"\n"},
		"in a table of all":                                  {"c.toml", "[backends]\nv = { type = \"env\" }\nw = { type = \"env\" } # w\n", "[backends]\nw = { type = \"env\" } # w\n"},
		"with a list over several lines":                     {"c.toml", "[backends.v]\nargs = [\n  \"a\", # one\n]\n[secrets.A]\n", "[secrets.A]\n"},
		"with a name in quotes":                              {"c.toml", "[ backends . \"v\" ]\ntype = 'env'\n", ""},
		"not the table of another that begins with its name": {"c.toml", "[backends.v2]\ntype = \"env\"\n[backends.v]\ntype = \"env\"\n", "[backends.v2]\ntype = \"env\"\n"},
		"not what a section says":                            {"c.toml", "[backends.v]\ntype = \"env\"\n[production.backends.v]\ntype = \"env\"\n", "[production.backends.v]\ntype = \"env\"\n"},
		"of YAML":                                            {"c.yaml", "backends:\n  # of v\n  v:\n    type: env\n    # inner\n    path: a\n  # of w\n  w: {type: env}\n", "backends:\n  # of v\n  # of w\n  w: {type: env}\n"},
		"the last of YAML":                                   {"c.yaml", "backends:\n  v:\n    type: env\n", "backends:\n"},
		"of YAML on one line":                                {"c.yaml", "backends:\n  v: {type: env}\n  w: {type: env}\n", "backends:\n  w: {type: env}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := RemoveBackend(c.file, []byte(c.text), "v")
			if err != nil || string(got) != c.want {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestWhatCannotBeEditedIsLeftToAPerson(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ file, text string }{
		{"c.toml", "backends = { v = { type = \"env\" } }\n"},
		{"c.yaml", "backends: {v: {type: env}, w: {type: env}}\n"},
		{"c.yaml", "backends: {\n  v: {type: env}, w: {type: env}\n}\n"},
		{"c.json", `{"backends": {"v": {"type": "env"}, "w": {"type": "env"}}}`},
		{"c.yaml", "x: &x\n  v:\n    type: env\nbackends:\n  <<: *x\n"},
		{"c.yaml", "backends:\n  v:\n    type: \"a\n b\"\n"},
	} {
		if got, err := RemoveBackend(c.file, []byte(c.text), "v"); !errors.Is(err, ErrByHand) {
			t.Errorf("removing from %q: %q, %v", c.text, got, err)
		}
	}
	for _, c := range []struct{ file, text string }{
		{"c.toml", "backends = { v = { type = \"env\" } }\n"},
		{"c.toml", "[backends.new]\ntype = \"env\"\n"},
		{"c.yaml", "backends: {v: {type: env}}\n"},
		{"c.yaml", "{secrets: {}}\n"},
		{"c.json", `{}`},
	} {
		if got, err := AddBackend(c.file, []byte(c.text), "new", Env, nil); !errors.Is(err, ErrByHand) {
			t.Errorf("adding to %q: %q, %v", c.text, got, err)
		}
	}
	for _, file := range []string{"c.toml", "c.yaml"} {
		if _, err := AddBackend(file, []byte("= ["), "new", Env, nil); !errors.As(err, &Problems{}) {
			t.Errorf("a broken file: %v", err)
		}
	}
}

func TestWhatIsWrittenByHandIsWhatWouldBeWritten(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"c.toml", "c.yaml"} {
		want, err := AddBackend(file, nil, "new", HashicorpVault, editGiven)
		if got := BackendText(file, "new", HashicorpVault, editGiven); err != nil || got != string(want) {
			t.Errorf("%s: %q, %v, want %q", file, got, err, want)
		}
	}
}

func TestADraftIsLoadedInPlaceOfItsFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	getenv := func(name string) string { return map[string]string{"HOME": "/nonexistent"}[name] }
	o := Options{Dir: dir, Getenv: getenv}
	path, exists, err := Place(o)
	if err != nil || exists || filepath.Base(path) != ".keyzero.toml" {
		t.Fatalf("the place of a new file is %s, %v, %v", path, exists, err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".keyzero.local.toml"), []byte("[backends.b]\ntype = \"env\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Draft = &Draft{path, []byte("[backends.a]\ntype = \"env\"\n")}
	cfg, err := Load(o)
	if err != nil || len(cfg.Backends) != 2 || len(cfg.Sources) != 2 {
		t.Fatalf("a new file: %+v, %v", cfg, err)
	}
	if err := os.WriteFile(path, o.Draft.Data, 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := Load(Options{Dir: dir, Getenv: getenv})
	if err != nil || !slices.Equal(read.Sources, cfg.Sources) {
		t.Errorf("once written it is another: %+v, %v", read.Sources, err)
	}
	if path2, exists, err := Place(o); err != nil || !exists || path2 != path {
		t.Errorf("its place is %s, %v, %v", path2, exists, err)
	}
	o.Draft = &Draft{path, []byte("[backends.a]\ntype = \"none\"\n")}
	if _, err := Load(o); err == nil {
		t.Error("a draft is not validated")
	}
	o.Draft.Data = make([]byte, maxFile+1)
	if _, err := Load(o); err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("a draft that could not be read again: %v", err)
	}
}

func TestThePlacesOfABackend(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "c.toml")
	text := "[backends.v]\ntype = \"env\"\n[backends.w]\ntype = \"env\"\n[production.backends.v]\ntype = \"env\"\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(Options{Dir: dir, File: file, Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	got := cfg.BackendPlaces("v")
	if len(got) != 2 || got[0].Env != "" || got[0].Pos.Line != 1 || got[1].Env != "production" || got[1].Pos.Line != 5 || got[0].Source.Path != file {
		t.Errorf("they are %+v", got)
	}
	if got := cfg.BackendPlaces("x"); got != nil {
		t.Errorf("of none: %+v", got)
	}
}

// FuzzEdits checks that no file makes an edit panic, that one is refused or is what was wanted, and that removing what was
// added leaves what was there.
func FuzzEdits(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, file := range []string{"f.toml", "f.yaml"} {
			before, problem := found{shown: file}.parse(data)
			added, err := AddBackend(file, data, "fuzz.new", HashicorpVault, editGiven)
			if err != nil {
				if !errors.Is(err, ErrByHand) && problem == nil {
					t.Errorf("adding to %s: %v", file, err)
				}
				continue
			}
			for _, half := range [][]byte{added, data} {
				back, err := RemoveBackend(file, half, "fuzz.new")
				if err != nil {
					continue
				}
				if after, problem := (found{shown: file}).parse(back); problem != nil || !after.same(before) {
					t.Errorf("%s: %q became %q by way of %q", file, data, back, half)
				}
			}
			if backends := before.get("backends"); backends != nil {
				for _, b := range backends.fields[:min(len(backends.fields), 3)] {
					_, _ = RemoveBackend(file, data, b.key)
				}
			}
		}
	})
}
