package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kz/cmd/kz/config"
	"kz/resolver"
	"kz/resolver/resolvertest/awsfake"
)

const putConfig = `[backends.aws]
type = "aws_secrets_manager"
region = "us-east-1"
[secrets.KEY]
secret_id = "prod/key"
hosts = ["api.test"]
[secrets.PART]
secret_id = "prod/doc"
field = "api_key"
[secrets.PINNED]
secret_id = "prod/key"
version_id = "00000000-0000-0000-0000-000000000001"
`

// awsWorld is a store that takes values, and what leads a kz to it: an environment and a configuration.
type awsWorld struct {
	*awsfake.Server
	slow *atomic.Int64 // how long each answer takes
	most *atomic.Int64 // how many requests there were at the same time
	env  []string
	file string
}

func newAWSWorld(t *testing.T, text string) awsWorld {
	t.Helper()
	fake := awsfake.New(awsfake.Options{})
	var slow, now, most atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for n := now.Add(1); n > most.Load(); {
			most.Store(n)
		}
		defer now.Add(-1)
		time.Sleep(time.Duration(slow.Load()))
		fake.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	home := t.TempDir()
	w := awsWorld{Server: fake, slow: &slow, most: &most, file: filepath.Join(home, "c.toml"), env: []string{
		"HOME=" + home, "PATH=" + os.Getenv("PATH"), "GORACE=" + os.Getenv("GORACE"), "AWS_ENDPOINT_URL=" + server.URL,
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"AWS_ACCESS_KEY_ID=" + awsfake.DefaultKey.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + awsfake.DefaultKey.SecretAccessKey,
	}}
	if err := os.WriteFile(w.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

// kz runs a command with the configuration.
func (w awsWorld) kz(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.Command("kz", append(args, "--config", w.file)...)
	var out, errs strings.Builder
	cmd.Env, cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = w.env, filepath.Dir(w.file), strings.NewReader(stdin), &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// written is what was stored last; "" when nothing was.
func (w awsWorld) written() (value string) {
	for _, r := range w.Requests() {
		var in struct{ SecretString string }
		if r.Operation == "PutSecretValue" || r.Operation == "CreateSecret" {
			_ = json.Unmarshal(r.Input, &in)
			value = in.SecretString
		}
	}
	return value
}

func TestPutStoresWhatStandsOnStandardInput(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ secret, stdin, want string }{
		"without the line end at its end":       {"KEY", "canary-value\n", "canary-value"},
		"without that of Windows":               {"KEY", "canary-value\r\n", "canary-value"},
		"with every line end but the last":      {"KEY", "-----BEGIN-----\ncanary\n\n", "-----BEGIN-----\ncanary\n"},
		"with spaces around it":                 {"KEY", "  canary value ", "  canary value "},
		"in its field, beside the other fields": {"PART", "canary-value", `{"api_key":"canary-value","site":"x"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newAWSWorld(t, putConfig)
			w.Put("prod/doc", `{"site":"x"}`)
			code, stdout, stderr := w.kz(t, c.stdin, "put", c.secret)
			got := w.written()
			if c.secret == "PART" {
				var fields map[string]string
				if err := json.Unmarshal([]byte(got), &fields); err != nil || len(fields) != 2 || fields["site"] != "x" || fields["api_key"] != "canary-value" {
					t.Errorf("stored %q", got)
				}
			} else if got != c.want {
				t.Errorf("stored %q, want %q", got, c.want)
			}
			if want := "kz: stored " + c.secret + " in aws; running sessions use it at their next refresh, or at once with `kz reload`\n"; code != 0 || !strings.HasSuffix(stderr, want) {
				t.Errorf("exit code %d, it says %s", code, stderr)
			}
			if strings.Contains(stdout+stderr, "canary") {
				t.Errorf("the value is shown: %s%s", stdout, stderr)
			}
		})
	}
}

func TestPutRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ secret, stdin, want string }{
		"nothing":                     {"KEY", "", "the value is empty"},
		"a line without anything":     {"KEY", "\n", "the value is empty"},
		"what is not text":            {"KEY", "canary\x00canary", "the value is not text"},
		"what is not UTF-8":           {"KEY", "canary\xff", "the value is not text"},
		"what no store takes":         {"KEY", strings.Repeat("canary", 200_000), "longer than 1 MiB"},
		"a mask":                      {"KEY", "kz_masked_00112233445566778899aabbccddeeff", "the value is a mask"},
		"what names one version":      {"PINNED", "canary-value", "names one version"},
		"what is longer than a limit": {"KEY", strings.Repeat("canary", 20_000), "storing KEY: aws: invalid reference"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newAWSWorld(t, putConfig)
			code, stdout, stderr := w.kz(t, c.stdin, "put", c.secret)
			if code != exitFailure || !strings.Contains(stderr, "kz: error: ") || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, it says %s", code, stderr)
			}
			if w.written() != "" || strings.Contains(stdout+stderr, "canary") {
				t.Errorf("stored %.20q; %s", w.written(), stderr)
			}
		})
	}
}

func TestPutWarnsOfWhatABlindRunWouldRefuse(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"short":      "kz: warning: KEY: the value is shorter than 8 bytes",
		"tw\no-long": "kz: warning: KEY: ", // it may stand in a body
	} {
		w := newAWSWorld(t, strings.Replace(putConfig, `hosts = ["api.test"]`, "hosts = [\"api.test\"]\nswap = [\"header\"]", 1))
		code, _, stderr := w.kz(t, value, "put", "KEY")
		if code != 0 || w.written() != value || !strings.Contains(stderr, want) {
			t.Errorf("exit code %d, stored %q: %s", code, w.written(), stderr)
		}
	}
}

func TestPutLogsInWithASecretOfAnotherBackend(t *testing.T) {
	t.Parallel()
	w := newAWSWorld(t, `[backends.file]
type = "env_file"
path = "boot.env"
[backends.aws]
type = "aws_secrets_manager"
region = "us-east-1"
auth = "static"
access_key_id = "`+awsfake.DefaultKey.AccessKeyID+`"
secret_access_key = { secret = "BOOT" }
[secrets.BOOT]
backend = "file"
[secrets.KEY]
backend = "aws"
secret_id = "prod/key"
`)
	w.env = slices.DeleteFunc(w.env, func(kv string) bool {
		return strings.HasPrefix(kv, "AWS_SECRET") || strings.HasPrefix(kv, "AWS_ACCESS")
	})
	boot := func(value string) {
		if err := os.WriteFile(filepath.Join(filepath.Dir(w.file), "boot.env"), []byte("BOOT='"+value+"'\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	boot(awsfake.DefaultKey.SecretAccessKey)
	if code, _, stderr := w.kz(t, "value-one", "put", "KEY"); code != 0 || w.written() != "value-one" {
		t.Errorf("exit code %d, stored %q: %s", code, w.written(), stderr)
	}
	if code, stdout, stderr := w.kz(t, "", "backends", "check"); code != 0 || strings.Count(stdout, " ok ") != 2 {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
	code, stdout, _ := w.kz(t, "", "backends")
	if code != 0 || !strings.Contains(stdout, "  secret_access_key = •••••••• (the secret BOOT)\n") || !strings.Contains(stdout, "  used by: BOOT; the backend aws logs in with BOOT\n") {
		t.Errorf("it lists %s", stdout)
	}
	boot("canary-a-wrong-key")
	for _, command := range [][]string{{"put", "KEY"}, {"backends", "check"}, {"backends", "check", "--json"}, {"status"}, {"status", "--json"}} {
		code, stdout, stderr := w.kz(t, "canary-value", command...)
		if said := stdout + stderr; code == 0 || !strings.Contains(said, "access denied") || strings.Contains(said, "canary") {
			t.Errorf("%s: exit code %d: %s", command, code, said)
		}
	}
}

func TestAFailureOfPutHoldsNothingOfTheValue(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		"AccessDeniedException": "secretsmanager:PutSecretValue", "ThrottlingException": "throttled", "InternalServiceError": "unavailable",
		"DecryptionFailure": "decryption failed", "InvalidParameterException": "invalid reference",
	} {
		w := newAWSWorld(t, putConfig)
		w.Put("prod/key", "canary-before")
		w.Fail(awsfake.Failure{Operation: "PutSecretValue", Code: code})
		exit, stdout, stderr := w.kz(t, "canary-value", "put", "KEY")
		if exit != exitFailure || !strings.Contains(stderr, "kz: error: storing KEY: aws: ") || !strings.Contains(stderr, "kz: hint: ") || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d: %s", code, exit, stderr)
		}
		for _, secret := range []string{"canary", awsfake.DefaultKey.SecretAccessKey, "AWS4-HMAC", "Signature"} {
			if strings.Contains(stdout+stderr, secret) {
				t.Errorf("%s: it shows %s: %s%s", code, secret, stdout, stderr)
			}
		}
	}
}

// putFunc is a store that is written by a function.
type putFunc func(ctx context.Context) error

func (f putFunc) Put(ctx context.Context, _ resolver.Ref, _ resolver.Secret) error { return f(ctx) }

func TestPutGivesUp(t *testing.T) {
	t.Parallel()
	t.Run("after 30 s, also on a store that does not heed that", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			a, _, _ := testApp()
			began := time.Now()
			err := a.keep(t.Context(), config.Secret{Name: "KEY", Backend: "b"}, putFunc(func(context.Context) error { time.Sleep(time.Hour); return nil }), "canary-value")
			if took := time.Since(began); took != 30*time.Second || resolver.KindOf(err) != resolver.TimedOut || !strings.HasPrefix(err.Error(), "storing KEY: b: timed out") {
				t.Errorf("after %s: %v", took, err)
			}
			time.Sleep(time.Hour)
		})
	})
	t.Run("without the text of an error that is not known", func(t *testing.T) {
		t.Parallel()
		a, _, _ := testApp()
		err := a.keep(t.Context(), config.Secret{Name: "KEY", Backend: "b"}, putFunc(func(context.Context) error { return errors.New("canary-value refused") }), "canary-value")
		if text := fmt.Sprintf("%v %+v %#v", err, err, errors.Unwrap(err)); err == nil || strings.Contains(text, "canary") {
			t.Errorf("it says %s", text)
		}
	})
}

func TestEveryTypeCanBeWrittenOrSaysHowElse(t *testing.T) {
	t.Parallel()
	a, _, _ := testApp("HOME="+t.TempDir(), "VAULT_ADDR=https://v.test")
	for name, make := range storeMakers {
		if make == nil { // not in this build
			continue
		}
		typ, _ := backendType(name)
		b := backend{Backend: config.Backend{Name: "b", Type: name, Dir: "/", Settings: map[string]config.Setting{}}}
		for _, s := range typ.Settings {
			if s.Required && len(s.Auth) == 0 {
				b.Settings[s.Key] = config.Setting{Value: map[string]any{"url": "https://b.test", "path": "/b"}[s.Type]}
			}
		}
		store, err := make(a, b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, writes := store.(resolver.Putter); writes == (putElsewhere[name] != "") {
			t.Errorf("%s: written by kz put: %v; how else: %q", name, writes, putElsewhere[name])
		}
	}
}

func TestPutNeedsNoOtherBackends(t *testing.T) {
	t.Parallel()
	cfg := &config.Config{
		Backends: map[string]config.Backend{
			"aws":   {Settings: map[string]config.Setting{"secret_access_key": {Secret: "BOOT"}, "region": {Value: "us-east-1"}}},
			"file":  {Settings: map[string]config.Setting{"identity": {Secret: "AGE"}}},
			"env":   {},
			"other": {Settings: map[string]config.Setting{"token": {Secret: "KEY"}}},
		},
		Secrets: []config.Secret{{Name: "KEY", Backend: "aws"}, {Name: "BOOT", Backend: "file"}, {Name: "AGE", Backend: "env"}, {Name: "ELSE", Backend: "other"}},
	}
	got := neededFor(cfg, cfg.Secrets[0])
	if len(got.Backends) != 3 || len(got.Secrets) != 3 || got.Backends["other"].Settings != nil || len(cfg.Backends) != 4 || len(cfg.Secrets) != 4 {
		t.Errorf("%v %v", got.Backends, got.Secrets)
	}
}
