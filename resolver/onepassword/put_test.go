//go:build unix

package onepassword_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	sdk "github.com/1Password/connect-sdk-go/onepassword"

	"kz/resolver"
	"kz/resolver/onepassword"
	"kz/resolver/resolvertest"
)

// putting is what every way to log in does with a value.
func putting(t *testing.T, s *onepassword.Store) {
	t.Helper()
	put := func(id, field, value string) {
		t.Helper()
		if err := s.Put(t.Context(), resolver.Ref{ID: id, Field: field}, resolver.NewSecret(value)); err != nil {
			t.Errorf("putting %s: %v", id, err)
		}
	}
	put("Team Secrets/there/credential", "", "two "+resolvertest.Canary)
	get(t, s, "Team Secrets/there/credential", "two "+resolvertest.Canary)
	get(t, s, "Team Secrets/there/other", "kept")
	put("Team Secrets/there/new field", "", resolvertest.Canary+"\nline \"two\" <&> é")
	get(t, s, "Team Secrets/there/new field", resolvertest.Canary+"\nline \"two\" <&> é")
	put("Team Secrets/there/New Section/key", "", resolvertest.Canary+"3")
	get(t, s, "Team Secrets/there/new section/key", resolvertest.Canary+"3")
	put("Team Secrets/there/New Section/key", "", resolvertest.Canary+"4")
	get(t, s, "Team Secrets/there/new section/key", resolvertest.Canary+"4")
	get(t, s, "Team Secrets/there/credential", "two "+resolvertest.Canary)

	put("Team Secrets/not there/main/credential", "", resolvertest.Canary+"5")
	get(t, s, "Team Secrets/not there/main/credential", resolvertest.Canary+"5")

	put("Team Secrets/json/credential", "a", resolvertest.Canary+"6")
	put("Team Secrets/json/credential", "b.c", resolvertest.Canary+"7")
	get(t, s, "Team Secrets/json/credential", `{"a":"`+resolvertest.Canary+`6","b":{"c":"`+resolvertest.Canary+`7"}}`)

	fails(t, s.Put(t.Context(), resolver.Ref{ID: "Team Secrets/there/credential", Field: "a"}, resolver.NewSecret(resolvertest.Canary)), resolver.InvalidReference, "not a JSON object")
	fails(t, s.Put(t.Context(), resolver.Ref{ID: "Nowhere/k/f"}, resolver.NewSecret(resolvertest.Canary)), resolver.NotFound, `"Nowhere"`)
	fails(t, s.Put(t.Context(), resolver.Ref{ID: "Team Secrets/k/f?attribute=otp"}, resolver.NewSecret(resolvertest.Canary)), resolver.InvalidReference, "can only be read")
	fails(t, s.Put(t.Context(), resolver.Ref{ID: "Team Secrets/k/f"}, resolver.NewSecret(resolvertest.Canary+"\xff")), resolver.InvalidReference, "not text")
}

func TestPutByOp(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*onepassword.Options){"cli": nil, "service_account": account} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newOp(t)
			f.set(t, "items", []any{opItem("there", opField("credential", "one "+resolvertest.Canary), opField("other", "kept"))})
			putting(t, f.open(t, change))
			f.load(t)
			if n := len(f.state["items"].([]any)); n != 3 {
				t.Errorf("there are %d items", n)
			}
		})
	}
	t.Run("nothing is written to a login, whose passkey would be lost, nor to an item that op conceals", func(t *testing.T) {
		t.Parallel()
		f := newOp(t)
		login := opItem("login", opField("password", "kept"))
		login["category"] = "LOGIN"
		f.set(t, "items", []any{login, opItem("other", opField("a", "kept"))})
		s := f.open(t, nil)
		fails(t, s.Put(t.Context(), resolver.Ref{ID: "Team Secrets/login/password"}, resolver.NewSecret(resolvertest.Canary)), resolver.InvalidReference, "passkey", "API Credential")
		f.set(t, "conceals", true)
		fails(t, s.Put(t.Context(), resolver.Ref{ID: "Team Secrets/other/a"}, resolver.NewSecret(resolvertest.Canary)), resolver.Unavailable, "conceals")
		get(t, s, "Team Secrets/login/password", "kept")
		get(t, s, "Team Secrets/other/a", "kept")
	})
	t.Run("a failure while writing shows neither value", func(t *testing.T) {
		t.Parallel()
		f := newOp(t)
		f.put(t, "k", "credential", resolvertest.Canary)
		f.set(t, "fails", "[ERROR] (409) Conflict")
		fails(t, f.open(t, account).Put(t.Context(), reference("k", ""), resolver.NewSecret(resolvertest.Canary+"new")), resolver.Unavailable, "try again")
	})
}

func TestPutByConnect(t *testing.T) {
	t.Parallel()
	f := newConnect(t)
	f.add(connectItem("there", connectField("credential", "one "+resolvertest.Canary), connectField("other", "kept")))
	putting(t, f.open(t, nil))
	if len(f.items) != 3 {
		t.Errorf("there are %d items", len(f.items))
	}
	f.change(func() { f.items[0].Files = []*sdk.File{{ID: "x", Name: "kept"}} })
	if err := f.open(t, nil).Put(t.Context(), reference("there", ""), resolver.NewSecret("three")); err != nil {
		t.Error(err)
	}
}

// What op has started is ended with it, and holds nothing up.
func TestOpIsEndedWithItsChildren(t *testing.T) {
	t.Parallel()
	f := newOp(t)
	f.set(t, "hangs", true)
	ctx, cancel := context.WithCancel(t.Context())
	var text []byte
	go func() {
		defer cancel()
		for deadline := time.Now().Add(20 * time.Second); len(text) == 0 && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			text, _ = os.ReadFile(filepath.Join(f.dir, "child"))
		}
	}()
	_, err := f.open(t, nil).Resolve(ctx, reference("k", ""))
	var e *resolver.Error
	if !errors.As(err, &e) || !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	<-ctx.Done()
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); alive(child); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the child of op goes on")
		}
	}
}

func TestOpAsksOnce(t *testing.T) {
	t.Parallel()
	f := newOp(t)
	f.set(t, "items", []any{opItem("k", opField("a", "1"), opField("b", "2"), opField("c", "3"), opField("d", "4"))})
	f.set(t, "asks", true)
	s := f.open(t, nil)
	refs := []resolver.Ref{{ID: "Team Secrets/k/a"}, {ID: "Team Secrets/k/b"}, {ID: "Team Secrets/k/c"}, {ID: "Team Secrets/k/d"}}
	for _, out := range s.ResolveBatch(t.Context(), refs) {
		fails(t, out.Err, resolver.AccessDenied, "not signed in")
	}
	for n, out := range s.ResolveBatch(t.Context(), refs) {
		if out.Err != nil || out.Result.Secret.Reveal() != strconv.Itoa(n+1) {
			t.Error(out.Err)
		}
	}
	asked, err := os.ReadFile(filepath.Join(f.dir, "asked"))
	if err != nil || len(asked) != 2 {
		t.Errorf("it asked %d times, for one refusal and one consent", len(asked))
	}
}

func TestATokenThatCanBeReadInOpIsWarnedOf(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		return
	}
	path := filepath.Join(t.TempDir(), "op")
	if err := os.WriteFile(path, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	warnings := func(auth string) int {
		return len(open(t, onepassword.Options{Auth: auth, Find: func() (string, error) { return path, nil }}).Warnings())
	}
	if warnings(onepassword.ServiceAccount) != 1 || warnings(onepassword.CLI) != 0 {
		t.Error("an op that is not set-group-ID")
	}
	if err := os.Chmod(path, 0o755|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	if warnings(onepassword.ServiceAccount) != 0 {
		t.Error("an op that is set-group-ID")
	}
}

// alive reports whether a process runs; one that nobody has waited for does not.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return syscall.Kill(pid, 0) == nil
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}
