package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kz/cmd/kz/config"
	"kz/resolver"
	"kz/resolver/resolvertest"
)

func TestASensitiveSettingIsNeverAValue(t *testing.T) {
	t.Parallel()
	for _, typ := range config.Types() {
		for _, s := range typ.Settings {
			given, err := parseSettings(typ, []string{s.Key + "=canary"}, "/", "/")
			text := ""
			if err != nil {
				text = err.Error() + err.(hinter).Hint() //nolint:errorlint,forcetypeassert // a misuse
			}
			if s.Sensitive != (err != nil && exitCode(err) == exitMisuse) && s.Type != "number" || strings.Contains(text, "canary") {
				t.Errorf("%s of %s: %v, %v", s.Key, typ.Name, given, err)
			}
			if !s.Sensitive {
				continue
			}
			given, err = parseSettings(typ, []string{s.Key + "=secret:NAME"}, "/", "/")
			if err != nil || len(given) != 1 || given[0].Secret != "NAME" || given[0].Value != nil {
				t.Errorf("%s of %s as a secret: %+v, %v", s.Key, typ.Name, given, err)
			}
			shown := settingsOf(config.Backend{Type: typ.Name, Settings: map[string]config.Setting{s.Key: {Value: "canary"}}})
			if len(shown) != 1 || shown[0].shown != "••••••••" {
				t.Errorf("%s of %s is shown as %+v", s.Key, typ.Name, shown)
			}
		}
	}
}

func TestAFileThatChangesMeanwhileIsNotWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "c.toml")
	a, _, stderr := testApp("HOME=" + dir)
	a.cwd = func() (string, error) { return dir, nil }
	o, err := a.configOptions(file, "")
	if err != nil {
		t.Fatal(err)
	}
	const other = "# another's\n"
	if err := os.WriteFile(file, []byte(other), 0o640); err != nil {
		t.Fatal(err)
	}
	after := []byte("[backends.a]\ntype = \"env\"\n")
	if err := a.writeConfig(o, file, true, nil, after, "added "); err == nil || !strings.Contains(err.Error(), "has changed meanwhile") {
		t.Errorf("it is written over: %v", err)
	}
	if err := a.writeConfig(o, file, true, []byte(other), after, "added "); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o640 || !strings.Contains(stderr.String(), "kz: added "+file) {
		t.Errorf("it is %v, %v; %s", info.Mode(), err, stderr)
	}
}

// checkFunc is a store whose check is a function.
type checkFunc func(ctx context.Context) error

func (f checkFunc) Check(ctx context.Context) error { return f(ctx) }

func (f checkFunc) Resolve(context.Context, resolver.Ref) (resolver.Result, error) {
	return resolver.Result{}, errors.New("not asked for")
}

// plainStore only resolves.
type plainStore func(ref resolver.Ref) error

func (f plainStore) Resolve(_ context.Context, ref resolver.Ref) (resolver.Result, error) {
	return resolver.Result{}, f(ref)
}

func TestCheckOfABackend(t *testing.T) {
	t.Parallel()
	cfg := &config.Config{Backends: map[string]config.Backend{"b": {Type: "env"}, "none": {Type: "env"}},
		Secrets: []config.Secret{{Name: "KEY", Backend: "b", Ref: resolver.Ref{ID: "key"}}}}
	t.Run("that does not heed its limit ends after 30 s", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			h := checkBackend(t.Context(), cfg, "b", checkFunc(func(context.Context) error { time.Sleep(time.Hour); return nil }))
			if h.OK || h.LatencyMS != 30_000 || !strings.HasPrefix(h.Error, "timed out") || h.Hint == "" {
				t.Errorf("it is %+v", h)
			}
			time.Sleep(time.Hour)
		})
	})
	t.Run("shows nothing of an error that is not known", func(t *testing.T) {
		t.Parallel()
		h := checkBackend(t.Context(), cfg, "b", checkFunc(func(context.Context) error { return errors.New("canary") }))
		if h.OK || strings.Contains(h.Error+h.Hint, "canary") {
			t.Errorf("it is %+v", h)
		}
	})
	t.Run("without a check asks for a secret of it", func(t *testing.T) {
		t.Parallel()
		asked := ""
		store := plainStore(func(ref resolver.Ref) error {
			asked += ref.ID
			return &resolver.Error{Kind: resolver.AccessDenied, Advice: "the policy"}
		})
		h := checkBackend(t.Context(), cfg, "b", store)
		if h.OK || asked != "key" || h.Error != "access denied" || h.Hint != "the policy" {
			t.Errorf("asked for %q, it is %+v", asked, h)
		}
		if h := checkBackend(t.Context(), cfg, "none", store); !h.OK || asked != "key" || h.Note != "nothing to check" {
			t.Errorf("without a secret it is %+v", h)
		}
	})
	t.Run("that logs in with a secret fails when that cannot be had", func(t *testing.T) {
		t.Parallel()
		fake := resolvertest.NewFake(nil)
		cache, err := resolver.NewCache(resolver.CacheOptions{Sources: []resolver.Source{{Name: "BOOT", Backend: "other", Resolver: fake, Ref: resolver.Ref{ID: "boot"}, TTL: -1}}})
		if err != nil {
			t.Fatal(err)
		}
		made := 0
		chained := func() *chainedStore {
			return &chainedStore{names: map[string]string{"token": "BOOT"}, cache: func() *resolver.Cache { return cache },
				make: func(chained map[string]resolver.Secret) (resolver.Resolver, error) {
					made += len(chained)
					return plainStore(func(resolver.Ref) error { return &resolver.Error{Kind: resolver.Unavailable} }), nil
				}}
		}
		if h := checkBackend(t.Context(), cfg, "b", chained()); h.OK || !strings.HasPrefix(h.Error, "resolving BOOT: other: not found") || made != 0 {
			t.Errorf("it is %+v", h)
		}
		fake.Set("boot", "canary")
		if _, err := cache.Renew(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		// What is behind it cannot check itself, so that a secret is asked for.
		if h := checkBackend(t.Context(), cfg, "b", chained()); h.OK || h.Error != "unavailable" || made != 1 {
			t.Errorf("it is %+v", h)
		}
	})
}

func TestBackendsAreCheckedSideBySide(t *testing.T) {
	t.Parallel()
	w := newAWSWorld(t, `[backends.one]
type = "aws_secrets_manager"
region = "us-east-1"
[backends.two]
type = "aws_secrets_manager"
region = "us-east-1"
[backends.three]
type = "aws_secrets_manager"
region = "us-east-1"
`)
	w.slow.Store(int64(400 * time.Millisecond))
	code, stdout, stderr := w.kz(t, "", "backends", "check")
	if code != 0 || strings.Count(stdout, " ok ") != 3 || stderr != "" || len(w.Requests()) != 3 || w.most.Load() != 3 {
		t.Errorf("exit code %d, %d calls, %d at the same time: %s%s", code, len(w.Requests()), w.most.Load(), stdout, stderr)
	}
}
