//go:build unix

package onepassword_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdk "github.com/1Password/connect-sdk-go/onepassword"

	"kz/resolver"
	"kz/resolver/onepassword"
	"kz/resolver/resolvertest"
)

func TestConformanceConnect(t *testing.T) {
	t.Parallel()
	resolvertest.Shown(t, "onepassword", "connect", "a fake Connect server over the vendor's types, which checks token, paths, filters and bodies")
	resolvertest.Run(t, func(t *testing.T) resolvertest.Harness {
		f := newConnect(t)
		return resolvertest.Harness{
			Resolver:    f.open(t, nil),
			Credentials: []string{connectToken, "canary-connect-token"},
			Ref:         reference,
			Put: func(t *testing.T, id, value string) {
				f.add(connectItem(id, connectField("credential", value)))
			},
			Deny: func(t *testing.T, id string) { f.change(func() { f.denied[connectItem(id).ID] = true }) },
			Down: func(t *testing.T) resolver.Resolver { return openConnect(t, nobody(t), nil) },
			Silent: func(t *testing.T, limit time.Duration) resolver.Resolver {
				return openConnect(t, mute(t), func(o *onepassword.Options) { o.Timeout = limit })
			},
		}
	})
}

func TestReferencesByConnect(t *testing.T) {
	t.Parallel()
	f := newConnect(t)
	item := connectItem("GitHub Bot", connectField("credential", "one"), connectField("shared", "free"))
	item.Sections = []*sdk.ItemSection{{ID: "s1", Label: "Prod keys"}, {ID: "s2", Label: "Test"}}
	for n, section := range item.Sections {
		value := []string{"of prod", "of test"}[n]
		item.Fields = append(item.Fields,
			&sdk.ItemField{ID: "a" + section.ID, Label: "shared", Value: value, Section: &sdk.ItemSection{ID: section.ID}},
			&sdk.ItemField{ID: "b" + section.ID, Label: "both", Value: value, Section: &sdk.ItemSection{ID: section.ID}})
	}
	item.Fields = append(item.Fields, &sdk.ItemField{ID: "otp", Type: sdk.FieldTypeOTP, Label: "one-time password", Value: "otpauth://" + resolvertest.Canary, TOTP: "123456"})
	item.Files = []*sdk.File{{ID: "file1", Name: "key.pem", Size: 3}}
	f.contents["file1"] = "PEM\n"
	f.add(item)
	second := connectItem("Twin", connectField("a", resolvertest.Canary))
	second.ID = "tttttttttttttttttttttttttt"
	f.add(connectItem("twin", connectField("a", resolvertest.Canary)))
	f.add(second)
	third := connectItem("twin", connectField("a", resolvertest.Canary))
	third.ID = "uuuuuuuuuuuuuuuuuuuuuuuuuu"
	f.add(third)
	f.add(connectItem(`with "quotes" \`, connectField("a", "quoted")))
	f.change(func() {
		f.vaults = append(f.vaults, sdk.Vault{ID: strings.Repeat("w", 26), Name: "Two"}, sdk.Vault{ID: strings.Repeat("x", 26), Name: "Two"})
	})
	s := f.open(t, nil)
	for id, want := range map[string]string{
		"op://Team Secrets/GitHub Bot/credential":                      "one",
		"team secrets/github bot/CREDENTIAL":                           "one",
		vaultID + "/" + item.ID + "/bs2":                               "of test",
		"op://Team Secrets/GitHub Bot/shared":                          "free",
		"op://Team Secrets/GitHub Bot/Prod keys/shared":                "of prod",
		"op://Team Secrets/GitHub Bot/s2/both":                         "of test",
		"op://Team Secrets/GitHub Bot/key.pem":                         "PEM\n",
		"op://Team Secrets/GitHub Bot/one-time password?attribute=otp": "123456",
		"op://Team Secrets/Twin/a":                                     resolvertest.Canary,
		"op://Team Secrets/with \"quotes\" \\/a":                       "quoted",
	} {
		get(t, s, id, want)
	}
	for id, want := range map[string]struct {
		kind  resolver.Kind
		parts []string
	}{
		"Team Secrets/twin/a":    {resolver.InvalidReference, []string{`2 items named "twin"`, "item's id"}},
		"Two/x/a":                {resolver.InvalidReference, []string{`2 vaults named "Two"`, "vault's id"}},
		"Nowhere/x/a":            {resolver.NotFound, []string{`no vault "Nowhere"`, "op connect vault grant"}},
		"Team Secrets/nothing/a": {resolver.NotFound, []string{`no item "nothing"`}},
		"Team Secrets/zzzzzzzzzzzzzzzzzzzzzzzzzz/a":        {resolver.NotFound, []string{"zzzz"}},
		"Team Secrets/GitHub Bot/both":                     {resolver.InvalidReference, []string{`more than one field "both"`, "name the section"}},
		"Team Secrets/GitHub Bot/Test/nope":                {resolver.FieldMissing, []string{"its keys are both, credential, key.pem", `in a section "Test"`}},
		"Team Secrets/GitHub Bot/credential?attribute=otp": {resolver.InvalidReference, []string{"no one-time password"}},
		"Team Secrets/GitHub Bot/credential?attribute=id":  {resolver.InvalidReference, []string{"service_account"}},
	} {
		_, err := s.Resolve(t.Context(), resolver.Ref{ID: id})
		fails(t, err, want.kind, want.parts...)
	}
}

func TestABatchFetchesEachItemOnce(t *testing.T) {
	t.Parallel()
	f := newConnect(t)
	f.add(connectItem("k", connectField("a", "1"), connectField("b", "2")))
	s := f.open(t, nil)
	outs := s.ResolveBatch(t.Context(), []resolver.Ref{{ID: vaultID + "/k/a"}, {ID: "bad"}, {ID: vaultID + "/k/b"}, {ID: vaultID + "/k/c"}})
	if outs[0].Result.Secret.Reveal() != "1" || outs[2].Result.Secret.Reveal() != "2" {
		t.Errorf("%v", outs)
	}
	fails(t, outs[1].Err, resolver.InvalidReference)
	fails(t, outs[3].Err, resolver.FieldMissing)
	if len(f.seen) != 2 {
		t.Errorf("the requests %q", f.seen)
	}
}

func TestFailuresOfConnect(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]struct {
		kind resolver.Kind
		text string
	}{
		302: {resolver.Unavailable, "sends elsewhere"}, 400: {resolver.InvalidReference, "status 400"}, 401: {resolver.AccessDenied, "op connect token create"},
		403: {resolver.AccessDenied, "--vault 'Team Secrets,r'"}, 404: {resolver.NotFound, "connect_host"}, 413: {resolver.InvalidReference, "too long"},
		429: {resolver.Throttled, "ttl"}, 500: {resolver.Unavailable, "/health"}, 503: {resolver.Unavailable, "status 503"},
	} {
		f := newConnect(t)
		f.status = status
		s := f.open(t, nil)
		_, err := s.Resolve(t.Context(), reference("k", ""))
		fails(t, err, want.kind, want.text)
		fails(t, s.ResolveBatch(t.Context(), []resolver.Ref{reference("k", "")})[0].Err, want.kind)
		fails(t, s.Put(t.Context(), reference("k", ""), resolver.NewSecret(resolvertest.Canary)), want.kind)
		kind := want.kind
		if status == 404 {
			kind = resolver.Unavailable // no Connect server is there
		}
		fails(t, s.Check(t.Context()), kind)
		for _, seen := range f.seen {
			if strings.Contains(seen, "elsewhere") {
				t.Errorf("it followed: %q", f.seen)
			}
		}
	}
	t.Run("a token that is wrong, or none", func(t *testing.T) {
		t.Parallel()
		f := newConnect(t)
		for given, text := range map[string]string{resolvertest.Canary: "does not accept the token", "": "OP_CONNECT_TOKEN", "a\r\nb: " + resolvertest.Canary: "no usable token"} {
			s := f.open(t, func(o *onepassword.Options) { o.Token = resolver.NewSecret(given) })
			_, err := s.Resolve(t.Context(), reference("k", ""))
			fails(t, err, resolver.AccessDenied, text)
		}
	})
	t.Run("the address and the token may come from the environment", func(t *testing.T) {
		t.Parallel()
		f := newConnect(t)
		f.add(connectItem("k", connectField("credential", "one")))
		open := func(environ ...string) *onepassword.Store {
			return open(t, onepassword.Options{Auth: onepassword.Connect, Environ: environ})
		}
		get(t, open("OP_CONNECT_HOST=http://before", "OP_CONNECT_HOST="+f.url, "OP_CONNECT_TOKEN="+connectToken), reference("k", "").ID, "one")
		fails(t, open("X=y").Check(t.Context()), resolver.InvalidReference, "OP_CONNECT_HOST")
		fails(t, open("OP_CONNECT_HOST=https://user:pw@h", "OP_CONNECT_TOKEN="+connectToken).Check(t.Context()), resolver.InvalidReference, "OP_CONNECT_HOST")
	})
	for name, handler := range map[string]http.HandlerFunc{
		"an answer of another kind": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>" + resolvertest.Canary)) },
		"an answer without an end": func(w http.ResponseWriter, _ *http.Request) {
			for range 1 << 10 { // 64 MiB, far more than the buffers in between hold
				if _, err := w.Write([]byte(strings.Repeat("x", 64<<10))); err != nil {
					return
				}
			}
			t.Error("all of it was read")
		},
		"an answer that ends early": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte(`[{"id":"` + resolvertest.Canary))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(handler)
			t.Cleanup(srv.Close)
			_, err := openConnect(t, srv.URL, nil).Resolve(t.Context(), reference("k", ""))
			fails(t, err, resolver.Unavailable)
		})
	}
	t.Run("a certificate that nothing here vouches for gets no token", func(t *testing.T) {
		t.Parallel()
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was asked") }))
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		srv.StartTLS()
		t.Cleanup(srv.Close)
		_, err := openConnect(t, srv.URL, nil).Resolve(t.Context(), reference("k", ""))
		fails(t, err, resolver.Unavailable, "unknown authority", "let this machine trust")
	})
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, o := range []onepassword.Options{
		{}, {Auth: "other"}, {Auth: onepassword.Connect, ConnectHost: "ftp://h"}, {Auth: onepassword.Connect, ConnectHost: "https://u:pw@h"},
		{Find: func() (string, error) { return "", nil }, Account: "--help"},
	} {
		if _, err := onepassword.New(o); err == nil || strings.Contains(err.Error(), "pw") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for host, want := range map[string]int{"http://connect.internal:8080": 1, "https://connect.internal": 0, "http://127.0.0.1:8080": 0, "http://localhost": 0} {
		if got := openConnect(t, host, nil).Warnings(); len(got) != want {
			t.Errorf("%s: %q", host, got)
		}
	}
}
