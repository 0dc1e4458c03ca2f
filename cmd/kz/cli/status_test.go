package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kz/cmd/kz/config"
	"kz/resolver"
	"kz/resolver/resolvertest"
)

// manyBackends is a report of so many backends, with a secret each.
func manyBackends(n int) (report []resolver.Status) {
	for i := range n {
		report = append(report, resolver.Status{Name: fmt.Sprint("KEY", i), Backend: fmt.Sprint("a-backend-with-a-long-name-", i)})
	}
	return report
}

func TestAHintStandsOnceForAllThatItIsAbout(t *testing.T) {
	t.Parallel()
	cfg := &config.Config{Backends: map[string]config.Backend{"down": {Type: config.HashicorpVault}, "up": {Type: config.EnvFile}}}
	var report []resolver.Status
	for i := range 40 {
		name := fmt.Sprintf("DOWN_%d", i)
		report = append(report,
			resolver.Status{Name: name, Backend: "down", Err: &resolver.Error{Kind: resolver.Unavailable, Secret: name, Backend: "down", Message: "sealed", Advice: "unseal it"}},
			resolver.Status{Name: fmt.Sprintf("UP_%d", i), Backend: "up"})
	}
	report = append(report, resolver.Status{Name: "OTHER", Backend: "down", Err: &resolver.Error{Kind: resolver.NotFound, Secret: "OTHER", Backend: "down", Advice: "make it"}})
	all := byBackend(cfg, report)
	if len(all) != 2 || all[0].Name != "down" || all[0].OK || len(all[0].Secrets) != 41 || !all[1].OK || all[1].Type != config.EnvFile {
		t.Errorf("by backend it is %+v", all)
	}
	a, _, stderr := testApp()
	a.ui.Error(failures(all))
	var names []string
	for i := range 40 {
		names = append(names, fmt.Sprintf("DOWN_%d", i))
	}
	want := "kz: error: resolving " + strings.Join(names, ", ") + `: down: unavailable: sealed
kz: hint: unseal it
kz: error: resolving OTHER: down: not found
kz: hint: make it
`
	if stderr.String() != want {
		t.Errorf("it says\n%s", stderr)
	}
	if err := failures(all[1:]); err != nil {
		t.Errorf("of what is well: %v", err)
	}
}

func TestAStaleValueIsCalledThat(t *testing.T) {
	t.Parallel()
	s := secretStatus{Stale: true, err: &resolver.Error{Kind: resolver.Unavailable}}
	if got := s.says(); got != "stale: unavailable" {
		t.Errorf("it is called %q", got)
	}
}

func TestStatusAsJSON(t *testing.T) {
	t.Parallel()
	w := newAWSWorld(t, putConfig)
	w.Put("prod/key", "canary-value")
	w.Put("prod/doc", `{"site":"canary"}`)
	code, stdout, stderr := w.kz(t, "", "status", "--json")
	var got []struct {
		Name, Type string
		OK         bool
		Secrets    []struct {
			Name, Error, Hint string
			OK, Stale         bool
			Latency           float64 `json:"latency_ms"`
		}
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != exitFailure || stderr != "" {
		t.Fatalf("exit code %d, %v: %s%s", code, err, stdout, stderr)
	}
	if len(got) != 1 || got[0].Name != "aws" || got[0].Type != config.AWSSecretsManager || got[0].OK || len(got[0].Secrets) != 3 {
		t.Fatalf("it is %+v", got)
	}
	key, part := got[0].Secrets[0], got[0].Secrets[1]
	if !key.OK || key.Latency <= 0 || key.Error != "" || part.OK || !strings.Contains(part.Error, "field missing") || part.Hint == "" {
		t.Errorf("the secrets are %+v", got[0].Secrets)
	}
	if strings.Contains(stdout, "canary") {
		t.Errorf("a value is in %s", stdout)
	}
	if code, _, stderr := w.kz(t, "", "status", "--json", "--metrics"); code != exitMisuse || !strings.Contains(stderr, "kz: hint: ") {
		t.Errorf("both at once: %d, %s", code, stderr)
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	t.Run("is told by backend, of what is waited for", func(t *testing.T) {
		t.Parallel()
		report := []resolver.Status{
			{Name: "A", Backend: "vault", Counts: resolver.Counts{Calls: 1}}, {Name: "B", Backend: "vault"}, {Name: "C", Backend: "aws\n\x1b[2J"},
			{Name: "NOT_CHOSEN", Backend: "other"},
		}
		if got := progressOf(report, []string{"A", "B", "C"}); got != `resolving 3 secrets: vault 1 of 2, aws\n\x1b[2J 0 of 1 …` {
			t.Errorf("it is %q", got)
		}
		if got := progressOf(report, []string{"A"}); got != "" {
			t.Errorf("at the end it is %q", got)
		}
	})
	t.Run("is shown after a time, and taken back by what is said and at the end", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			fake := resolvertest.NewFake(map[string]string{"k": "canary"})
			fake.Delay(10 * time.Second)
			cache, err := resolver.NewCache(resolver.CacheOptions{Sources: []resolver.Source{{Name: "KEY", Backend: "b", Resolver: fake, Ref: resolver.Ref{ID: "k"}, TTL: -1}}})
			if err != nil {
				t.Fatal(err)
			}
			a, _, stderr := testApp()
			a.ui.live = true
			shows := func() string {
				a.ui.mu.Lock()
				defer a.ui.mu.Unlock()
				return stderr.String()
			}
			go func() { _ = cache.ResolveAll(t.Context(), nil) }()
			stop := a.watch(cache, cache.Names(), time.Second)
			time.Sleep(999 * time.Millisecond)
			synctest.Wait()
			if got := shows(); got != "" {
				t.Errorf("too early: %q", got)
			}
			const line = "kz: resolving 1 secret: b 0 of 1 …"
			blank := "\r" + strings.Repeat(" ", len([]rune(line))) + "\r"
			time.Sleep(50 * time.Millisecond)
			synctest.Wait()
			if got := shows(); got != line {
				t.Errorf("it shows %q", got)
			}
			a.ui.Notef("something")
			if got := shows(); got != line+blank+"kz: something\n" {
				t.Errorf("with something else it shows %q", got)
			}
			time.Sleep(60 * time.Millisecond)
			synctest.Wait()
			stop()
			stop()
			if got := shows(); got != line+blank+"kz: something\n"+line+blank {
				t.Errorf("at the end it shows %q", got)
			}
			time.Sleep(time.Minute)
			if strings.Contains(shows(), "canary") {
				t.Error("it shows the value")
			}
		})
	})
	t.Run("is cut to the width of the terminal", func(t *testing.T) {
		t.Parallel()
		a, _, stderr := testApp()
		a.ui.live = true
		a.ui.Progress(strings.Repeat("é", 200))
		if n := len([]rune(stderr.String())); n != 79 || !strings.HasSuffix(stderr.String(), "é…") {
			t.Errorf("it is %d columns: %q", n, stderr)
		}
	})
	t.Run("is written once as long as it stays the same", func(t *testing.T) {
		t.Parallel()
		a, _, stderr := testApp()
		a.ui.live = true
		a.ui.Progress("one")
		a.ui.Progress("one")
		a.ui.Progress("two")
		if got := stderr.String(); got != "kz: one\r       \rkz: two" {
			t.Errorf("it shows %q", got)
		}
	})
	t.Run("is nothing where it could not be taken back", func(t *testing.T) {
		t.Parallel()
		a, _, stderr := testApp()
		a.ui.Progress("resolving")
		if stderr.String() != "" {
			t.Errorf("it shows %q", stderr)
		}
	})
}

func TestTheTextOfAnErrorThatIsNotAStoresIsNotShown(t *testing.T) {
	t.Parallel()
	text, hint := told(errors.New("canary"))
	if text += hint + fmt.Sprint(failures([]backendStatus{{Secrets: []secretStatus{{err: errors.New("canary")}}}})); strings.Contains(text, "canary") {
		t.Errorf("it says %s", text)
	}
}
