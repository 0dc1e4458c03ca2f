package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kz/cmd/kz/config"
	canaries "kz/test/canary"
)

// initWorld is a directory in which kz init is run, with a value that may be nowhere else than where the test puts it.
type initWorld struct {
	home, dir, secret string
	env               []string
}

func newInitWorld(t *testing.T, files map[string]string, environ ...string) initWorld {
	t.Helper()
	at := t.TempDir()
	w := initWorld{home: filepath.Join(at, "home"), dir: filepath.Join(at, "repo", "project"), secret: canaries.Value("k-")}
	for _, d := range []string{w.home, w.dir, filepath.Join(at, "repo", ".git")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(strings.ReplaceAll(text, "@v@", w.secret)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.env = append([]string{"HOME=" + w.home}, environ...)
	for i, v := range w.env {
		w.env[i] = strings.ReplaceAll(v, "@v@", w.secret)
	}
	return w
}

// kz runs one command line; the value may be in nothing that comes of it.
func (w initWorld) kz(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	a, out, errs := testApp(w.env...)
	a.cwd = func() (string, error) { return w.dir, nil }
	err := execute(background(), newRootCmd(a), args)
	a.ui.Error(err)
	written, _ := os.ReadFile(w.file())
	for what, b := range map[string][]byte{"standard output": out.Bytes(), "standard error": errs.Bytes(), "the file": written} {
		for _, hit := range canaries.New(w.secret).In(what, b) {
			t.Errorf("the value leaked: %s", hit)
		}
	}
	return exitCode(err), out.String(), errs.String()
}

func (w initWorld) file() string { return filepath.Join(w.dir, ".keyzero.toml") }

// config is the configuration that was written.
func (w initWorld) config(t *testing.T) *config.Config {
	t.Helper()
	a, _, _ := testApp(w.env...)
	cfg, err := config.Load(config.Options{Dir: w.dir, Getenv: a.getenv})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// manyVariables are not those of secrets.
func manyVariables(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "COLOUR_%d=red\n", i)
	}
	return b.String()
}

func TestInitWritesWhatItFinds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files         map[string]string
		env, args     []string
		secrets, typ  string
		says, saysNot []string
	}{
		"nothing": {typ: config.Local, says: []string{"0 secrets, kept in local", "next:\n      kz add NAME\n      kz trust\n", "not in all of"}, saysNot: []string{"found"}},
		"given names, with the tongue of the command line": {args: []string{"OPENAI_API_KEY", "OPENAI_API_KEY", "MY_TOKEN"}, secrets: "OPENAI_API_KEY MY_TOKEN", typ: config.Local,
			says: []string{"2 secrets", "kz put --missing\n", "where these may go: MY_TOKEN"}, saysNot: []string{"warning"}},
		"dotenv files, the first that says it": {files: map[string]string{".env": "GROQ_API_KEY=@v@\nX=@v@\nMY_SECRET=\n", ".env.local": "GROQ_API_KEY=@v@", ".env.example": "XAI_API_KEY=your-key"},
			secrets: "GROQ_API_KEY MY_SECRET XAI_API_KEY", typ: config.Local,
			says: []string{"found in .env.local: GROQ_API_KEY\n", "found in .env: MY_SECRET\n", "found in .env.example: XAI_API_KEY\n", "--from .env.local\n      kz put --missing --from .env\n"}, saysNot: []string{"--from .env.example"}},
		"a dotenv file without values": {files: map[string]string{".env": "GROQ_API_KEY=\n"}, secrets: "GROQ_API_KEY", typ: config.Local, saysNot: []string{"warning", "--from"}},
		"an odd dotenv file beside another": {files: map[string]string{".env": "GROQ_API_KEY=@v@\n@v@\n", ".env.example": "XAI_API_KEY="}, secrets: "XAI_API_KEY", typ: config.Local,
			says: []string{"warning: .env was left out: line 2: = is expected after the name\nkz: hint: `kz add NAME` takes each of its names over"}},
		"a dotenv file that nobody wrote by hand, beside another": {files: map[string]string{".env": manyVariables(1001), ".env.local": manyVariables(1000), ".env.example": "XAI_API_KEY="},
			secrets: "XAI_API_KEY", typ: config.Local, says: []string{"warning: .env was left out: it has more than 1000 variables\n"}},
		"a value over several lines": {files: map[string]string{".env": "TLS_KEY=\"-----BEGIN\nLINE_KEY=@v@\nLINE_TOKEN=\n\"\n"}, secrets: "TLS_KEY", typ: config.Local},
		"names that are keys":        {files: map[string]string{".env": "AKIASECRETSECRETSECRET_KEY=1\nGROQ_API_KEY=@v@\nsmall_token=@v@\n"}, secrets: "GROQ_API_KEY", typ: config.Local},
		"the environment": {env: []string{"GH_TOKEN=@v@", "OTHER_TOKEN=@v@", "NPM_TOKEN=", "VAULT_TOKEN=@v@", "EDITOR=vi"}, secrets: "GH_TOKEN", typ: config.Local,
			says: []string{"found in the environment: GH_TOKEN\n", "also set, and kept from blind programs: OTHER_TOKEN;"}, saysNot: []string{"VAULT_TOKEN"}},
		"AWS": {env: []string{"AWS_PROFILE=dev", "AWS_DEFAULT_REGION=eu-west-1", "AWS_SECRET_ACCESS_KEY=@v@"}, args: []string{"OPENAI_API_KEY"}, secrets: "OPENAI_API_KEY", typ: config.AWSSecretsManager,
			says: []string{"found AWS_PROFILE in the environment; --backend local keeps secrets on this machine"}, saysNot: []string{"AWS_SECRET_ACCESS_KEY"}},
		"Vault":                                {env: []string{"VAULT_ADDR=https://vault.example.com:8200/", "AWS_PROFILE=x"}, args: []string{"OPENAI_API_KEY"}, secrets: "OPENAI_API_KEY", typ: config.HashicorpVault},
		"Vault with a password in its address": {env: []string{"VAULT_ADDR=https://me:@v@@vault.example.com"}, args: []string{"OPENAI_API_KEY"}, secrets: "OPENAI_API_KEY", typ: config.HashicorpVault},
		"a dotenv file that stays the store": {files: map[string]string{".env": "GROQ_API_KEY=@v@"}, args: []string{"--backend", "env_file", "--set", "path=.env"}, secrets: "GROQ_API_KEY", typ: config.EnvFile,
			says: []string{"a blind program can read that file\nkz: hint: keep it outside of the project"}, saysNot: []string{"kz put"}},
		"a backend that is asked for": {env: []string{"VAULT_ADDR=https://vault.example.com"}, args: []string{"--backend", "azure_key_vault", "--set", "vault_url=https://v.vault.azure.net", "A_KEY"}, secrets: "A_KEY", typ: config.AzureKeyVault},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newInitWorld(t, c.files, c.env...)
			code, stdout, stderr := w.kz(t, append([]string{"init"}, c.args...)...)
			if code != 0 || stdout != "" {
				t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
			}
			cfg := w.config(t)
			if got := strings.Join(secretNames(cfg.Secrets), " "); got != c.secrets {
				t.Errorf("the secrets are %s, not %s", got, c.secrets)
			}
			if b := cfg.Backends[storeName(c.typ)]; b.Type != c.typ || len(cfg.Backends) != 1 {
				t.Errorf("the backends are %v", cfg.Backends)
			}
			for _, want := range c.says {
				if !strings.Contains(stderr, want) {
					t.Errorf("it does not say %q:\n%s", want, stderr)
				}
			}
			for _, not := range c.saysNot {
				if strings.Contains(stderr, not) {
					t.Errorf("it says %q:\n%s", not, stderr)
				}
			}
			written, _ := os.ReadFile(w.file())
			for line := range bytes.Lines(written) {
				if len(line) > 81 && !bytes.Contains(line, []byte(" # ")) { // with its line end; a setting may be long
					t.Errorf("a long line: %s", line)
				}
			}
			if _, printed, _ := newInitWorldLike(t, w).kz(t, append([]string{"init", "--print"}, c.args...)...); printed != string(written) {
				t.Errorf("--print prints\n%s\nand written is\n%s", printed, written)
			}
			info, err := os.Stat(w.file())
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the file is %v, %v", info, err)
			}
		})
	}
}

// newInitWorldLike is a world with the same files, in which nothing was written yet.
func newInitWorldLike(t *testing.T, w initWorld) initWorld {
	t.Helper()
	like := newInitWorld(t, nil)
	like.secret, like.env = w.secret, w.env
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == ".keyzero.toml" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(w.dir, e.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(like.dir, e.Name()), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return like
}

func TestInitRefusesAndWritesNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(t *testing.T, w *initWorld)
		args    []string
		code    int
		says    string
	}{
		"a file that is there": {func(t *testing.T, w *initWorld) { plant(t, w.file(), "# mine\n") }, nil, exitFailure, "there is a configuration already"},
		"one above it":         {func(t *testing.T, w *initWorld) { plant(t, filepath.Join(w.dir, "../.keyzero.yaml"), "{}\n") }, nil, exitFailure, "there is a configuration already"},
		"a link that leads nowhere": {func(t *testing.T, w *initWorld) {
			if err := os.Symlink(filepath.Join(w.home, "planted"), w.file()); err != nil {
				t.Fatal(err)
			}
		}, nil, exitFailure, "there is a configuration already"},
		"a dotenv file that cannot be read, and nothing else": {func(t *testing.T, w *initWorld) {
			_ = os.Remove(filepath.Join(w.dir, ".env.example"))
			plant(t, filepath.Join(w.dir, ".env"), "GROQ_API_KEY="+w.secret+"\n"+w.secret+"\n")
		}, nil, exitFailure, "reading .env: line 2: = is expected after the name\nkz: hint: mend that, or give the names: kz init NAME …"},
		"no home":                     {func(_ *testing.T, w *initWorld) { w.env = nil }, nil, exitFailure, "finding the local store: HOME is not set"},
		"a home in the workspace":     {func(_ *testing.T, w *initWorld) { w.env = []string{"HOME=" + filepath.Join(w.dir, "home")} }, nil, exitFailure, "would lie in the workspace"},
		"a value for a name":          {nil, []string{"@v@"}, exitMisuse, "the name of a secret is a variable: capital letters, digits and _\nkz: hint: as in OPENAI_API_KEY; what was typed may be in the shell's history"},
		"a key for a name":            {nil, []string{"AKIASECRETSECRETSECRE"}, exitMisuse, "what was given looks like a key, not like a name"},
		"a mask for a name":           {nil, []string{"kz_masked_00112233445566778899aabbccddeeff"}, exitMisuse, "what was given is a mask, not a name"},
		"a key for a setting":         {nil, []string{"--backend", "hashicorp_vault", "--set", "namespace=sk-ant-@v@"}, exitMisuse, "--set namespace looks like a value"},
		"an unknown type":             {nil, []string{"--backend", "@v@"}, exitMisuse, "--backend names no type"},
		"what keeps no secrets":       {nil, []string{"--backend", "aws_sts"}, exitMisuse, "--backend names no type"},
		"a setting that is not there": {nil, []string{"--set", "@v@=1"}, exitMisuse, "--set names no setting"},
		"a setting that is missing":   {nil, []string{"--backend", "azure_key_vault", "A_KEY"}, exitFailure, "has no vault_url"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newInitWorld(t, map[string]string{".env.example": "GROQ_API_KEY="})
			if c.prepare != nil {
				c.prepare(t, &w)
			}
			before, _ := os.ReadFile(w.file())
			for i := range c.args {
				c.args[i] = strings.ReplaceAll(c.args[i], "@v@", w.secret)
			}
			code, stdout, stderr := w.kz(t, append([]string{"init"}, c.args...)...)
			if code != c.code || stdout != "" || !strings.Contains(stderr, "kz: error: ") || !strings.Contains(stderr, c.says) {
				t.Errorf("exit code %d, %s%s", code, stdout, stderr)
			}
			if strings.Count(stderr, "kz: hint: ") != 1 {
				t.Errorf("not one hint: %s", stderr)
			}
			if after, _ := os.ReadFile(w.file()); !bytes.Equal(before, after) {
				t.Errorf("the file is now %q", after)
			}
			if _, err := os.Lstat(filepath.Join(w.home, "planted")); err == nil {
				t.Error("it wrote through the link")
			}
		})
	}
}

func plant(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOfTwoInitsOneWrites(t *testing.T) {
	t.Parallel()
	w := newInitWorld(t, nil)
	var wrote [8]bool
	var all sync.WaitGroup
	for i := range wrote {
		all.Go(func() { wrote[i] = createFile(w.file(), []byte{byte('a' + i)}) == nil })
	}
	all.Wait()
	data, err := os.ReadFile(w.file())
	n := 0
	for i, yes := range wrote {
		if yes {
			n++
			if string(data) != string(rune('a'+i)) {
				t.Errorf("%d wrote, and the file is %q", i, data)
			}
		}
	}
	if err != nil || n != 1 {
		t.Errorf("%d wrote it, %v", n, err)
	}
}

func TestInitUsesTheOnlyBackendOfTheUsersOwnFile(t *testing.T) {
	t.Parallel()
	w := newInitWorld(t, nil, "AWS_PROFILE=dev")
	own := filepath.Join(w.home, ".config", "keyzero", "config.toml")
	if err := os.MkdirAll(filepath.Dir(own), 0o700); err != nil {
		t.Fatal(err)
	}
	plant(t, own, "[backends.corp]\ntype = \"hashicorp_vault\"\naddress = \"https://vault.example.com\"\n")
	if code, _, stderr := w.kz(t, "init", "GROQ_API_KEY"); code != 0 || !strings.Contains(stderr, "1 secret, kept in corp\n") || !strings.Contains(stderr, "      kz put GROQ_API_KEY\n") {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	if text, _ := os.ReadFile(w.file()); strings.Contains(string(text), "[backends") || !strings.Contains(string(text), "# The backend corp, HashiCorp Vault, is in the user's own file.") {
		t.Errorf("it wrote %s", text)
	}
	cfg := w.config(t)
	if s := cfg.Secrets[0]; s.Backend != "corp" || s.Ref.ID != "secret/project" || s.Ref.Field != "groq_api_key" {
		t.Errorf("the secret is %+v", s)
	}

	// Of two it is none, and what is asked for is taken.
	like := newInitWorldLike(t, w)
	if code, _, stderr := like.kz(t, "init", "--backend", "local", "GROQ_API_KEY"); code != 0 || !strings.Contains(stderr, "kept in local\n") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	plant(t, own, "[backends.corp]\ntype = \"keychain\"\n[backends.second]\ntype = \"keychain\"\n")
	like = newInitWorldLike(t, w)
	if code, _, stderr := like.kz(t, "init", "GROQ_API_KEY"); code != 0 || !strings.Contains(stderr, "kept in aws\n") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

func TestInitIntoADirectoryThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	err := createFile(filepath.Join(t.TempDir(), "none", ".keyzero.toml"), nil)
	if err == nil || !strings.Contains(err.Error(), "writing the configuration: ") {
		t.Errorf("%v", err)
	}
	a, _, stderr := testApp()
	a.ui.Error(err)
	if !strings.Contains(stderr.String(), "kz: hint: `kz init --print` only prints it") {
		t.Error(stderr)
	}
}

// TestTheExamplesOfInitAndAddWork runs what the help of the two shows, each where there is something for it. `kz add` alone,
// which asks, is in TestAddAsksStepByStep.
func TestTheExamplesOfInitAndAddWork(t *testing.T) {
	t.Parallel()
	a, _, _ := testApp()
	for _, command := range []struct {
		name  string
		files map[string]string
	}{{"init", nil}, {"add", map[string]string{".keyzero.toml": "[backends.vault]\ntype = \"hashicorp_vault\"\n[backends.local]\ntype = \"local\"\n"}}} {
		c, _, err := newRootCmd(a).Find([]string{command.name})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for line := range strings.Lines(strings.ReplaceAll(c.Example, "\\\n", "")) {
			args := strings.Fields(line)[1:]
			if len(args) == 1 && args[0] == "add" {
				continue
			}
			w := newInitWorld(t, command.files)
			if code, _, stderr := w.kz(t, args...); code != 0 {
				t.Errorf("%s: %s", strings.TrimSpace(line), stderr)
			}
			n++
		}
		if n < 2 {
			t.Errorf("kz %s has %d examples", command.name, n)
		}
	}
}

func TestNamesAreCompleted(t *testing.T) {
	t.Parallel()
	w := newInitWorld(t, map[string]string{".keyzero.toml": "[backends.mine]\ntype = \"local\"\n"})
	for line, want := range map[string]string{
		"init OPENAI_API":         "OPENAI_API_KEY\tOpenAI\n",
		"init --backend hashi":    "hashicorp_vault\t",
		"add GROQ":                "GROQ_API_KEY\tGroq\n",
		"add X_KEY --backend m":   "mine\tlocal\n",
		"add X_KEY --backend ke":  "keychain\t",
		"add X_KEY --expose ":     "masked\nomit\nplain\n",
		"add X_KEY --swap header": "header\n",
	} {
		if _, stdout, _ := w.kz(t, append([]string{"__complete"}, strings.Split(line, " ")...)...); !strings.Contains(stdout, want) {
			t.Errorf("%q is completed with %q", line, stdout)
		}
	}
}
