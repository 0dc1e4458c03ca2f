//go:build unix

package agefile_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kz/resolver"
	"kz/resolver/agefile"
	"kz/resolver/resolvertest"
)

const canary = resolvertest.Canary

// The files of testdata were made by sops 3.13.3, for the identity in key2.txt and then the one in key.txt.
func vector(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// values are what is in testdata/sops.json, and with a few more in testdata/sops.yaml.
var values = map[string]string{
	"api_key": canary + "-a", "db.user": canary + "-u", "db.ports": "[80,443]", "/db/ports/1": "443", "db.list": `[{"k":"one"},["two"]]`,
	"port": "443", "big": "9007199254740993", "ratio": "1.5", "on": "true", "off": "false", "empty": "", "text": "two\nlines \"q\" <&> é",
	"plain_unencrypted": "in the clear", "tree_unencrypted.n": "7", "tree_unencrypted.f": "0.25", "tree_unencrypted.b": "true",
}

var yamlValues = map[string]string{
	"since": "2024-05-06T00:00:00Z", "tree_unencrypted.t": "2024-05-06T07:08:09Z", "tree_unencrypted.q": "2024-05-06", "tree_unencrypted.long": "a\nb\n",
}

var envValues = map[string]string{
	"API_KEY": canary + "-a", "TWO": "one\ntwo", "EMPTY": "", "EQ": "a=b #c", "QUOTED": `"x y"`, "PLAIN_unencrypted": "in the clear",
}

func expect(t *testing.T, s *agefile.Store, want map[string]string) {
	t.Helper()
	for id, value := range want {
		r, err := s.Resolve(t.Context(), resolver.Ref{ID: id})
		if err != nil || r.Secret.Reveal() != value {
			t.Errorf("%s is %q, %v, want %q", id, r.Secret.Reveal(), err, value)
		}
	}
}

func TestSopsFilesOfEachFormat(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]map[string]string{"sops.json": values, "sops.yaml": values, "sops.env": envValues} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, key := range []string{"key.txt", "key2.txt"} {
				s := open(t, agefile.Options{Path: "testdata/" + name, IdentityFile: "testdata/" + key})
				expect(t, s, want)
				if name == "sops.yaml" {
					expect(t, s, yamlValues)
				}
				if err := s.Check(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestTheOrderOfASopsFileIsKept(t *testing.T) {
	t.Parallel()
	s := open(t, agefile.Options{Path: "testdata/sops.json", IdentityFile: "testdata/key.txt"})
	expect(t, s, map[string]string{"db": `{"user":"` + canary + `-u","ports":[80,443],"list":[{"k":"one"},["two"]]}`})
}

// macOnly stands for a rule that sops takes from its configuration only.
var macOnly = []string{"mac_only_encrypted"}

func encryptTo(t *testing.T, recipient, from, to string, flags ...string) {
	t.Helper()
	if slices.Equal(flags, macOnly) {
		rules := "creation_rules:\n  - age: " + recipient + "\n    encrypted_regex: ^tok\n    mac_only_encrypted: true\n"
		if err := os.WriteFile(filepath.Join(filepath.Dir(from), ".sops.yaml"), []byte(rules), 0o600); err != nil {
			t.Fatal(err)
		}
		sops(t, from, to)
		return
	}
	sops(t, from, to, append([]string{"--age", recipient}, flags...)...)
}

func TestEveryRuleOfSops(t *testing.T) {
	t.Parallel()
	id := newIdentity(t)
	doc := `{"token":"` + canary + `-t","public":"in the clear","db":{"token":"` + canary + `-d","port":5432,"public":{"x":true}}}`
	yaml := "token: " + canary + "-t\npublic: in the clear\ndb:\n  token: " + canary + "-d\n  port: 5432\n  public:\n    x: true\n"
	want := map[string]string{"token": canary + "-t", "public": "in the clear", "db.token": canary + "-d", "db.port": "5432", "db.public.x": "true"}
	for _, c := range []struct {
		name  string
		flags []string
		clear bool // public is not encrypted
	}{
		{"none", nil, false},
		{"unencrypted_suffix", []string{"--unencrypted-suffix", "lic"}, true},
		{"encrypted_suffix", []string{"--encrypted-suffix", "oken"}, true},
		{"unencrypted_regex", []string{"--unencrypted-regex", "^pub"}, true},
		{"encrypted_regex", []string{"--encrypted-regex", "^tok"}, true},
		{"mac_only_encrypted", macOnly, true},
	} {
		for ext, text := range map[string]string{"json": doc, "yaml": yaml} {
			t.Run(c.name+" in "+ext, func(t *testing.T) {
				t.Parallel()
				from := write(t, "doc."+ext, []byte(text))
				to := filepath.Join(filepath.Dir(from), "encrypted."+ext)
				encryptTo(t, id.Recipient().String(), from, to, c.flags...)
				made, err := os.ReadFile(to)
				if err != nil || strings.Contains(string(made), canary) || strings.Contains(string(made), "in the clear") != c.clear {
					t.Fatalf("sops made %s", made)
				}
				expect(t, open(t, agefile.Options{Path: to, Identity: resolver.NewSecret(id.String())}), want)
			})
		}
	}
	t.Run("a dotenv file, and one of bytes", func(t *testing.T) {
		t.Parallel()
		from := write(t, "doc.env", []byte("token="+canary+"\nPUBLIC=in the clear\n"))
		to := filepath.Join(filepath.Dir(from), "encrypted.env")
		encryptTo(t, id.Recipient().String(), from, to, macOnly...)
		expect(t, open(t, agefile.Options{Path: to, Identity: resolver.NewSecret(id.String())}), map[string]string{"token": canary, "PUBLIC": "in the clear"})
		from = write(t, "doc.bin", []byte("line\nline\x7f "+canary))
		to = filepath.Join(filepath.Dir(from), "encrypted.bin")
		encryptTo(t, id.Recipient().String(), from, to)
		expect(t, open(t, agefile.Options{Path: to, Identity: resolver.NewSecret(id.String())}), map[string]string{"data": "line\nline\x7f " + canary})
	})
}

// failsWith checks that a store gives nothing, and why.
func failsWith(t *testing.T, s *agefile.Store, kind resolver.Kind, text string) {
	t.Helper()
	for _, id := range []string{"api_key", "API_KEY"} {
		r, err := s.Resolve(t.Context(), resolver.Ref{ID: id})
		if !r.Secret.IsZero() || resolver.KindOf(err) != kind || err != nil && !strings.Contains(err.Error(), text) {
			t.Errorf("%v is not %s: …%s…", err, kind, text)
		}
		if hint, ok := err.(interface{ Hint() string }); !ok || hint.Hint() == "" {
			t.Errorf("no hint beside %v", err)
		}
		resolvertest.NoLeak(t, err, canary, "in the clear", "ENC[", "BEGIN AGE")
	}
}

func TestASopsFileThatWasTamperedWithIsRefused(t *testing.T) {
	t.Parallel()
	whole := map[string]string{"json": vector(t, "sops.json"), "yaml": vector(t, "sops.yaml"), "env": vector(t, "sops.env")}
	sub := func(format, pattern, with string) func() (string, string) {
		return func() (string, string) {
			return format, regexp.MustCompile(pattern).ReplaceAllString(whole[format], with)
		}
	}
	swap := func(format, a, b string) func() (string, string) {
		return func() (string, string) {
			of := func(key string) []int {
				return regexp.MustCompile(key + `"?(?:: |=)"?(ENC\[[^\]]*\])`).FindStringSubmatchIndex(whole[format])
			}
			at, to, text := of(a), of(b), whole[format]
			if at[2] > to[2] {
				at, to = to, at
			}
			return format, text[:at[2]] + text[to[2]:to[3]] + text[at[3]:to[2]] + text[at[2]:at[3]] + text[to[3]:]
		}
	}
	for name, change := range map[string]func() (string, string){
		"two values exchanged in JSON":       swap("json", "api_key", "text"),
		"two values exchanged in YAML":       swap("yaml", "api_key", "user"),
		"two values exchanged in dotenv":     swap("env", "API_KEY", "TWO"),
		"a value taken away":                 sub("json", `\t"ratio": "[^"]*",\n`, ""),
		"a line taken away":                  sub("env", `(?m)^EQ=.*\n`, ""),
		"a value made empty":                 sub("json", `("ratio": ")[^"]*`, "$1"),
		"a value in plain in its place":      sub("json", `("ratio": )"[^"]*"`, "${1}2.5"),
		"a text in plain in its place":       sub("yaml", `(?m)^api_key: .*$`, "api_key: mine"),
		"a value added in plain":             sub("json", `"port"`, `"more_unencrypted": "x", "port"`),
		"a value added to the dotenv file":   sub("env", `(?m)^EQ=`, "MORE_unencrypted=x\nEQ="),
		"what is in the clear changed":       sub("yaml", `in the clear`, "on the clear"),
		"a number in the clear changed":      sub("json", `"n": 7`, `"n": 8`),
		"a number in YAML changed":           sub("yaml", `"n": 7`, `"n": 77`),
		"an order changed":                   sub("json", `(?s)(\t\t"n": 7),(\s*)("f": 0.25)`, "$3,$2$1"),
		"another type":                       sub("json", `("ratio": "ENC[^"]*)type:float`, "${1}type:bool"),
		"a comment made of a value":          sub("json", `("ratio": "ENC[^"]*)type:float`, "${1}type:comment"),
		"another date":                       sub("json", `("lastmodified": "....-..-..T..:..:)..`, "${1}61"),
		"no MAC":                             sub("json", `"mac": "[^"]*"`, `"mac": ""`),
		"the MAC of a value":                 sub("json", `("mac": ")[^"]*`, `${1}ENC[AES256_GCM,data:AAAA,iv:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,tag:AAAAAAAAAAAAAAAAAAAAAA==,type:str]`),
		"another rule":                       sub("json", `"_unencrypted"`, `"_other"`),
		"a rule that makes everything plain": sub("json", `"unencrypted_suffix": "_unencrypted"`, `"unencrypted_regex": ".*"`),
		"two rules":                          sub("json", `"unencrypted_suffix"`, `"encrypted_suffix": "x", "unencrypted_suffix"`),
		"a rule that is no expression":       sub("json", `"unencrypted_suffix": "_unencrypted"`, `"unencrypted_regex": "("`),
		"a MAC over other values":            sub("json", `"unencrypted_suffix"`, `"mac_only_encrypted": true, "unencrypted_suffix"`),
		"a key twice":                        sub("json", `"port"`, `"api_key": "x", "port"`),
		"a key twice in YAML":                sub("yaml", `(?m)^port:`, "api_key: x\nport:"),
		"a key twice in dotenv":              sub("env", `(?m)^EQ=`, "API_KEY=x\nEQ="),
		"an alias":                           sub("yaml", `(?m)^plain_unencrypted: in the clear`, "a_unencrypted: &a in the clear\nplain_unencrypted: *a"),
		"a second document":                  sub("yaml", `\z`, "---\napi_key: x\n"),
		"a file cut short":                   func() (string, string) { return "json", whole["json"][:len(whole["json"])/2] },
		"a YAML file cut short in its MAC": func() (string, string) {
			i := strings.Index(whole["yaml"], "mac: ENC")
			return "yaml", whole["yaml"][:i+200]
		},
		"a data key that is damaged":             sub("json", `(-----BEGIN AGE ENCRYPTED FILE-----\\n........)....`, "${1}AAAA"),
		"something behind the object":            sub("json", `\s*\z`, "\n{}"),
		"a JSON file nested too deep":            sub("json", `"n": 7`, `"n": `+strings.Repeat("[", 100)+strings.Repeat("]", 100)),
		"a YAML file nested too deep":            sub("yaml", `"n": 7`, `"n": `+strings.Repeat("[", 100)+strings.Repeat("]", 100)),
		"more empty lines than the parser bears": sub("yaml", `\A`, strings.Repeat("\n", 3000)),
		"another key of the data":                sub("json", `"enc": "[^"]*"`, `"enc": "none"`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			format, text := change()
			if slices.Contains([]string{whole["json"], whole["yaml"], whole["env"]}, text) {
				t.Fatal("nothing was changed")
			}
			failsWith(t, open(t, agefile.Options{Path: write(t, "sops."+format, []byte(text)), IdentityFile: "testdata/key.txt"}), resolver.DecryptionFailed, "")
		})
	}
}

func TestSopsFilesThatAreNotRead(t *testing.T) {
	t.Parallel()
	text := vector(t, "sops.json")
	for name, c := range map[string]struct{ from, to, text string }{
		"several key groups":          {`"age": `, `"key_groups": [{"age": []}], "age": `, "key groups"},
		"no recipient of age":         {`"age": `, `"pgp": `, "no recipient of age"},
		"comments that say what":      {`"unencrypted_suffix": "_unencrypted"`, `"encrypted_comment_regex": "x"`, "comments"},
		"no metadata of sops":         {`"sops": `, `"other": `, "not encrypted"},
		"metadata that is not a list": {`"sops": `, `"sops": 1, "other": `, "not encrypted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(text, c.from) {
				t.Fatal("nothing to change")
			}
			path := write(t, "sops.json", []byte(strings.Replace(text, c.from, c.to, 1)))
			failsWith(t, open(t, agefile.Options{Path: path, IdentityFile: "testdata/key.txt"}), resolver.InvalidReference, c.text)
		})
	}
}

// FuzzSopsFile: whatever the file, there is a value that sops wrote or an error, and nothing else.
func FuzzSopsFile(f *testing.F) {
	for _, name := range []string{"sops.json", "sops.yaml", "sops.env"} {
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	path := filepath.Join(f.TempDir(), "sops")
	key, err := os.ReadFile("testdata/key.txt")
	if err != nil {
		f.Fatal(err)
	}
	s, err := agefile.New(agefile.Options{Path: path, Identity: resolver.NewSecret(string(key)), Getenv: noEnv, Timeout: 10 * time.Second})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"api_key", "API_KEY"} {
			r, err := s.Resolve(t.Context(), resolver.Ref{ID: id})
			if err == nil && r.Secret.Reveal() != canary+"-a" {
				t.Fatalf("%q", r.Secret.Reveal())
			}
			if resolver.KindOf(err) == resolver.TimedOut {
				t.Fatal(err)
			}
		}
	})
}
