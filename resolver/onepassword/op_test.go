//go:build unix

package onepassword_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kz/resolver"
	"kz/resolver/onepassword"
	"kz/resolver/resolvertest"
	"kz/test/bed"
)

const serviceToken = "ops_canary-service-account-token"

// fakeOp is the op of testdata with a state of its own.
type fakeOp struct {
	dir   string
	state map[string]any
}

// newOp makes one that is signed in and has a vault, "Team Secrets".
func newOp(t *testing.T) *fakeOp {
	t.Helper()
	bed.Python(t)
	f := &fakeOp{dir: t.TempDir(), state: map[string]any{
		"token": serviceToken, "signed_in": true, "account": "acme", "items": []any{},
		"vaults": []any{map[string]any{"id": "vvvvvvvvvvvvvvvvvvvvvvvvvv", "name": "Team Secrets"}},
	}}
	program, err := filepath.Abs("testdata/op")
	if err != nil {
		t.Fatal(err)
	}
	// A link, since a file that was just written may be busy for exec.
	if err := os.Symlink(program, f.path()); err != nil {
		t.Fatal(err)
	}
	f.save(t)
	t.Cleanup(func() {
		if wrong, err := os.ReadFile(filepath.Join(f.dir, "violations")); err == nil {
			t.Errorf("op was not called as it should be: %s", wrong)
		}
	})
	return f
}

func (f *fakeOp) path() string { return filepath.Join(f.dir, "op") }

func (f *fakeOp) set(t *testing.T, key string, value any) {
	t.Helper()
	f.state[key] = value
	f.save(t)
}

func (f *fakeOp) save(t *testing.T) {
	t.Helper()
	text, err := json.Marshal(f.state)
	if err != nil {
		t.Fatal(err)
	}
	next := filepath.Join(f.dir, "next")
	if err := os.WriteFile(next, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, filepath.Join(f.dir, "state.json")); err != nil {
		t.Fatal(err)
	}
}

// load takes over what op has written.
func (f *fakeOp) load(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(f.dir, "state.json"))
	if err != nil || json.Unmarshal(text, &f.state) != nil {
		t.Fatal(err)
	}
}

// put has an item of one field.
func (f *fakeOp) put(t *testing.T, title, label, value string) {
	t.Helper()
	var items []any
	for _, i := range f.state["items"].([]any) {
		if i.(map[string]any)["title"] != title {
			items = append(items, i)
		}
	}
	f.set(t, "items", append(items, opItem(title, opField(label, value))))
}

func opItem(title string, fields ...any) map[string]any {
	id := strings.ToLower(fmt.Sprintf("%-26.26s", "i"+strings.ReplaceAll(title, " ", "")))
	return map[string]any{"id": strings.ReplaceAll(id, " ", "z"), "title": title, "category": "API_CREDENTIAL", "unknown": map[string]any{"big": 9007199254740993},
		"vault": map[string]any{"id": "vvvvvvvvvvvvvvvvvvvvvvvvvv", "name": "Team Secrets"}, "fields": fields}
}

func opField(label, value string) map[string]any {
	return map[string]any{"id": "f-" + label, "type": "CONCEALED", "label": label, "value": value}
}

func (f *fakeOp) open(t *testing.T, change func(*onepassword.Options)) *onepassword.Store {
	t.Helper()
	o := onepassword.Options{Find: func() (string, error) { return f.path(), nil },
		Environ: []string{"HOME=/nonexistent", "PATH=/usr/bin", "AWS_SECRET_ACCESS_KEY=x", "OP_CONNECT_HOST=https://elsewhere", "OP_FORMAT=json"}}
	if change != nil {
		change(&o)
	}
	return open(t, o)
}

func open(t *testing.T, o onepassword.Options) *onepassword.Store {
	t.Helper()
	s, err := onepassword.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func account(o *onepassword.Options) {
	o.Auth, o.Token = onepassword.ServiceAccount, resolver.NewSecret(serviceToken)
	o.Environ = append(o.Environ, "OP_ACCOUNT=other", "OP_SESSION_x=y", "OP_SERVICE_ACCOUNT_TOKEN=ops_another")
}

func conformanceByOp(t *testing.T, change func(*onepassword.Options)) {
	resolvertest.Run(t, func(t *testing.T) resolvertest.Harness {
		f := newOp(t)
		return resolvertest.Harness{
			Resolver:    f.open(t, change),
			Credentials: []string{serviceToken},
			Ref:         reference,
			Put:         func(t *testing.T, id, value string) { f.put(t, id, "credential", value) },
			Deny:        func(t *testing.T, id string) { f.set(t, "forbidden", []any{opItem(id)["id"]}) },
			Down: func(t *testing.T) resolver.Resolver {
				f.set(t, "fails", `[ERROR] could not read secret: error initializing client: Post "https://my.1password.com": dial tcp: lookup my.1password.com: no such host`)
				return f.open(t, change)
			},
			Silent: func(t *testing.T, limit time.Duration) resolver.Resolver {
				silent := newOp(t)
				silent.set(t, "hangs", true)
				return silent.open(t, func(o *onepassword.Options) { change(o); o.Timeout = limit })
			},
		}
	})
}

// reference is the one field of an item in the one vault.
func reference(id, field string) resolver.Ref {
	return resolver.Ref{ID: "op://Team Secrets/" + id + "/credential", Field: field}
}

func TestConformanceCLI(t *testing.T) {
	t.Parallel()
	resolvertest.Shown(t, "onepassword", "cli", "a stand-in for op, strict about arguments, environment and input, with op 2's messages")
	conformanceByOp(t, func(o *onepassword.Options) { o.Account = "acme" })
}

func TestConformanceServiceAccount(t *testing.T) {
	t.Parallel()
	resolvertest.Shown(t, "onepassword", "service_account", "a stand-in for op, strict about arguments, environment and input, and checks the token")
	conformanceByOp(t, account)
}

func get(t *testing.T, s resolver.Resolver, id, want string) {
	t.Helper()
	r, err := s.Resolve(t.Context(), resolver.Ref{ID: id})
	if err != nil || r.Secret.Reveal() != want {
		t.Errorf("%s: %q %v, want %q", id, r.Secret.Reveal(), err, want)
	}
}

// fails checks what err is, and that it shows no value and no token.
func fails(t *testing.T, err error, kind resolver.Kind, parts ...string) {
	t.Helper()
	var e *resolver.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("%v, want %s", err, kind)
	}
	if e.Hint() == "" {
		t.Errorf("no hint: %v", err)
	}
	for _, part := range parts {
		if !strings.Contains(e.Error()+"\n"+e.Hint(), part) {
			t.Errorf("%q %q lacks %q", e.Error(), e.Hint(), part)
		}
	}
	resolvertest.NoLeak(t, err, serviceToken, connectToken, resolvertest.Canary)
}

func TestReferencesByOp(t *testing.T) {
	t.Parallel()
	f := newOp(t)
	item := opItem("GitHub Bot",
		opField("credential", "one"), opField("shared", "free"),
		map[string]any{"id": "f-2", "label": "shared", "value": "in a section", "section": map[string]any{"id": "s1"}},
		map[string]any{"id": "f-3", "label": "one-time password", "value": "otpauth://x", "totp": "123456", "type": "OTP"})
	item["sections"] = []any{map[string]any{"id": "s1", "label": "Prod keys"}}
	f.set(t, "items", []any{item, opItem("twin", opField("a", "x")), opItem("twin", opField("a", "y"))})
	s := f.open(t, func(o *onepassword.Options) {
		o.Now = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
	})
	get(t, s, "op://Team Secrets/GitHub Bot/credential", "one")
	get(t, s, "Team Secrets/GitHub Bot/credential", "one")
	get(t, s, "vvvvvvvvvvvvvvvvvvvvvvvvvv/igithubbotzzzzzzzzzzzzzzzz/f-2", "in a section")
	get(t, s, "op://Team Secrets/GitHub Bot/Prod keys/shared", "in a section")
	r, err := s.Resolve(t.Context(), resolver.Ref{ID: "op://Team Secrets/GitHub Bot/one-time password?attribute=otp"})
	if err != nil || r.Secret.Reveal() != "123456" || r.RefreshAt.Second() != 30 {
		t.Errorf("the code of a one-time password: %v %v", r.RefreshAt, err)
	}
	_, err = s.Resolve(t.Context(), resolver.Ref{ID: "Team Secrets/twin/a"})
	fails(t, err, resolver.InvalidReference, `more than one item is named "twin"`, "op item list")
	_, err = s.Resolve(t.Context(), resolver.Ref{ID: "Nowhere/twin/a"})
	fails(t, err, resolver.NotFound, `no vault "Nowhere"`, "op vault list")
	_, err = s.Resolve(t.Context(), resolver.Ref{ID: "Team Secrets/GitHub Bot/nope"})
	fails(t, err, resolver.FieldMissing, `no field "nope"`, "op item get 'GitHub Bot' --vault 'Team Secrets'")
	for _, id := range []string{"op://a/b", "a/b/c/d/e", "a//c", "op://a/b/c\nd", "-h/b/c", "a/-h/c", "a/b/c?reveal=1", "a/b/c?%zz", "op://"} {
		_, err := s.Resolve(t.Context(), resolver.Ref{ID: id})
		fails(t, err, resolver.InvalidReference)
	}
}

// What op says, as it is reported of op 2, and what comes of it.
func TestFailuresOfOp(t *testing.T) {
	t.Parallel()
	f := newOp(t)
	f.put(t, "k", "credential", resolvertest.Canary)
	for says, want := range map[string]struct {
		kind resolver.Kind
		text string
	}{
		"(429) Too Many Requests: You've reached the maximum number of this type of requests":      {resolver.Throttled, "status 429"},
		"could not find session token for account my":                                              {resolver.AccessDenied, "op signin"},
		"error initializing client: authorization prompt dismissed, please try again":              {resolver.AccessDenied, "unlock 1Password"},
		"No accounts configured for use with 1Password CLI.":                                       {resolver.AccessDenied, "service_account"},
		"(403) Forbidden: You aren't authorized to access this resource.":                          {resolver.AccessDenied, "read_items"},
		"(500) Internal Server Error":                                                              {resolver.Unavailable, "status.1password.com"},
		"error initializing client: read: context deadline exceeded":                               {resolver.Unavailable, "HTTPS_PROXY"},
		`Post "https://x": tls: failed to verify certificate: x509: certificate signed by unknown`: {resolver.Unavailable, "cannot reach 1Password"},
		"unknown flag: --no-newline":                                                               {resolver.Unavailable, "op --version"},
		"could not read secret: invalid character in secret reference: '*'":                        {resolver.InvalidReference, "by its id"},
		"something that no version has said so far":                                                {resolver.Unavailable, "exit code 7"},
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			f := newOp(t)
			f.put(t, "k", "credential", resolvertest.Canary)
			f.set(t, "code", 7)
			f.set(t, "fails", "[ERROR] 2026/01/02 15:04:05 "+says)
			_, err := f.open(t, account).Resolve(t.Context(), reference("k", ""))
			fails(t, err, want.kind, want.text)
		})
	}
	t.Run("not signed in, and an account that op does not know", func(t *testing.T) {
		t.Parallel()
		f := newOp(t)
		_, err := f.open(t, func(o *onepassword.Options) { o.Account = "other" }).Resolve(t.Context(), reference("k", ""))
		fails(t, err, resolver.AccessDenied, "`account`", "op account list")
		f.set(t, "signed_in", false)
		fails(t, f.open(t, nil).Check(t.Context()), resolver.AccessDenied, "op is not signed in")
	})
	t.Run("a token that is wrong, or none", func(t *testing.T) {
		t.Parallel()
		f := newOp(t)
		for given, text := range map[string]string{"ops_" + resolvertest.Canary: "make a new token", "x" + resolvertest.Canary: "make a new token", "": "there is no usable token", resolvertest.Canary + "\x00": "there is no usable token"} {
			s := f.open(t, func(o *onepassword.Options) { o.Auth, o.Token = onepassword.ServiceAccount, resolver.NewSecret(given) })
			_, err := s.Resolve(t.Context(), reference("k", ""))
			fails(t, err, resolver.AccessDenied, text)
		}
	})
	t.Run("no program", func(t *testing.T) {
		t.Parallel()
		s := f.open(t, func(o *onepassword.Options) { o.Find = func() (string, error) { return "/nonexistent/op", nil } })
		_, err := s.Resolve(t.Context(), reference("k", ""))
		fails(t, err, resolver.Unavailable, "install the 1Password CLI")
		file := filepath.Join(t.TempDir(), "op")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s = f.open(t, func(o *onepassword.Options) { o.Find = func() (string, error) { return file, nil } })
		_, err = s.Resolve(t.Context(), reference("k", ""))
		fails(t, err, resolver.AccessDenied, "may not be executed")
	})
	t.Run("an answer without an end is cut", func(t *testing.T) {
		t.Parallel()
		f := newOp(t)
		f.set(t, "flood", true)
		_, err := f.open(t, nil).Resolve(t.Context(), reference("k", ""))
		fails(t, err, resolver.Unavailable, "more than 4 MiB")
	})
}
