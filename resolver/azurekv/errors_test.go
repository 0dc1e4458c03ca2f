package azurekv_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"kz/resolver"
	"kz/resolver/azurekv"
	"kz/resolver/resolvertest"
	"kz/resolver/resolvertest/azurefake"
)

func TestErrors(t *testing.T) {
	t.Parallel()
	challenge := func(text string) azurefake.Failure {
		return azurefake.Failure{HTTP: 401, Code: "Unauthorized", Challenge: text}
	}
	for name, c := range map[string]struct {
		failure azurefake.Failure
		kind    resolver.Kind
		text    []string
	}{
		"no role": {azurefake.Failure{HTTP: 403, Code: "Forbidden", Inner: "ForbiddenByRbac"}, resolver.AccessDenied,
			[]string{`may not read "db"`, "(status 403, ForbiddenByRbac)", `"Key Vault Secrets User"`}},
		"no permission in the policy": {azurefake.Failure{HTTP: 403, Code: "Forbidden", Inner: "AccessDenied"}, resolver.AccessDenied,
			[]string{"az keyvault set-policy --name my-vault --secret-permissions get"}},
		"a firewall":                     {azurefake.Failure{HTTP: 403, Code: "Forbidden", Inner: "ForbiddenByFirewall"}, resolver.AccessDenied, []string{"firewall", "network-rule"}},
		"an unknown inner code":          {azurefake.Failure{HTTP: 403, Code: "Forbidden", Inner: resolvertest.Canary}, resolver.AccessDenied, []string{"(status 403, Forbidden)"}},
		"no such secret":                 {azurefake.Failure{HTTP: 404, Code: "SecretNotFound"}, resolver.NotFound, []string{`no secret "db" in the vault my-vault`, "az keyvault secret list --vault-name my-vault", "recover"}},
		"a disabled one":                 {azurefake.Failure{HTTP: 403, Code: "Forbidden", Inner: "SecretDisabled"}, resolver.NotFound, []string{`"db" is disabled`, "--enabled true"}},
		"one that is not valid yet":      {azurefake.Failure{HTTP: 403, Code: "Forbidden", Inner: "SecretNotYetValid"}, resolver.NotFound, []string{"not valid at this time"}},
		"throttling":                     {azurefake.Failure{HTTP: 429, Code: "Throttled"}, resolver.Throttled, []string{"(status 429, Throttled)", "ttl"}},
		"failing":                        {azurefake.Failure{HTTP: 500, Code: "InternalServerError"}, resolver.Unavailable, []string{"(status 500, InternalServerError)"}},
		"a bad parameter":                {azurefake.Failure{HTTP: 400, Code: "BadParameter"}, resolver.InvalidReference, []string{"refuses the reference"}},
		"an unknown code":                {azurefake.Failure{HTTP: 400, Code: "token=" + resolvertest.Canary}, resolver.Unavailable, []string{"not one of Key Vault (status 400)"}},
		"a gateway's page":               {azurefake.Failure{HTTP: 502, Body: "<html>$SENT"}, resolver.Unavailable, []string{"(status 502)"}},
		"a gateway that refuses":         {azurefake.Failure{HTTP: 403, Body: "$SENT"}, resolver.AccessDenied, []string{"(status 403)"}},
		"a gateway that throttles":       {azurefake.Failure{HTTP: 429, Body: "$SENT"}, resolver.Throttled, []string{"(status 429)"}},
		"sending elsewhere":              {azurefake.Failure{HTTP: 307, Body: "$SENT"}, resolver.Unavailable, []string{"(status 307)"}},
		"a page":                         {azurefake.Failure{HTTP: 200, Body: "<html>$SENT"}, resolver.Unavailable, []string{"not one of Key Vault"}},
		"an answer without a value":      {azurefake.Failure{HTTP: 200, Body: `{"id":"$SENT"}`}, resolver.Unavailable, []string{"not one of Key Vault"}},
		"an answer cut short":            {azurefake.Failure{HTTP: 200, Body: `{"value":"` + resolvertest.Canary}, resolver.Unavailable, []string{"not one of Key Vault"}},
		"an endless answer":              {azurefake.Failure{HTTP: 200, Body: `{"value":"` + strings.Repeat("A", 2<<20) + `"}`}, resolver.Unavailable, []string{"not one of Key Vault"}},
		"an endless error":               {azurefake.Failure{HTTP: 500, Body: strings.Repeat("x", 2<<20)}, resolver.Unavailable, []string{"(status 500)"}},
		"a challenge of another API":     {challenge(`Bearer authorization="https://login.microsoftonline.com/` + azurefake.Tenant + `", resource="https://graph.microsoft.com"`), resolver.Unavailable, []string{"not one of Key Vault"}},
		"a challenge without a resource": {challenge(`Bearer realm="` + resolvertest.Canary + `"`), resolver.Unavailable, []string{"not one of Key Vault"}},
		"a challenge of no use, at which the SDK panics":    {challenge(`Bearer authorization="x", resource="https://vault.azure.net"`), resolver.Unavailable, []string{"not one of Key Vault"}},
		"a challenge whose tenant is another than was said": {challenge(`Bearer authorization="https://login.microsoftonline.com/00000000-0000-0000-0000-000000000001", resource="https://vault.azure.net"`), resolver.InvalidReference, []string{"another tenant"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := azurefake.New()
			fake.Put("db", resolvertest.Canary)
			c.failure.Message += resolvertest.Canary
			c.failure.Method = "GetSecret"
			fake.Fail(c.failure)
			s := open(t, fake, nil)
			began := time.Now()
			e := fails(t, s, resolver.Ref{ID: "db"}, c.kind)
			contains(t, e.Error()+" "+e.Hint(), c.text...)
			if n := fake.Count("GetSecret"); n > 7 {
				t.Errorf("%d attempts", n)
			}
			staysAtAzure(t, fake)
			if d := time.Since(began); d > 15*time.Second { // Retry-After is an hour
				t.Errorf("it took %v", d)
			}
		})
	}
	t.Run("a failure that passes is tried again", func(t *testing.T) {
		t.Parallel()
		fake := azurefake.New()
		fake.Put("db", "v")
		fake.Fail(azurefake.Failure{Method: "GetSecret", HTTP: 503, Code: "ServiceUnavailable", Times: 2})
		get(t, open(t, fake, nil), resolver.Ref{ID: "db"}, "v")
	})
	t.Run("a vault that is away or silent behind a login that is there", func(t *testing.T) {
		t.Parallel()
		fake := azurefake.New()
		behind := func(vault http.RoundTripper) *azurekv.Store {
			return open(t, fake, func(o *azurekv.Options) { o.Transport, o.Timeout = split{fake.Transport(), vault}, 2*time.Second })
		}
		fails(t, behind(broken{}), resolver.Ref{ID: "db"}, resolver.Unavailable)
		fails(t, behind(resolvertest.Direct(mute)), resolver.Ref{ID: "db"}, resolver.TimedOut)
		if fake.Count("token") != 2 {
			t.Errorf("%d logins", fake.Count("token"))
		}
	})
	t.Run("a token that is no longer accepted", func(t *testing.T) {
		t.Parallel()
		fake := azurefake.New()
		fake.Put("db", resolvertest.Canary)
		s := open(t, fake, nil)
		get(t, s, resolver.Ref{ID: "db"}, resolvertest.Canary)
		fake.Revoke()
		contains(t, fails(t, s, resolver.Ref{ID: "db"}, resolver.AccessDenied).Error(), "does not accept the token (status 401, Unauthorized)")
	})
	t.Run("the states of a secret", func(t *testing.T) {
		t.Parallel()
		fake := azurefake.New()
		fake.Put("gone", resolvertest.Canary)
		fake.Delete("gone")
		fake.PutVersion("off", azurefake.Version{Value: resolvertest.Canary, Disabled: true})
		s := open(t, fake, nil)
		contains(t, fails(t, s, resolver.Ref{ID: "gone"}, resolver.NotFound).Hint(), "az keyvault secret recover --vault-name my-vault --name gone")
		contains(t, fails(t, s, resolver.Ref{ID: "off"}, resolver.NotFound).Error(), "(status 403, SecretDisabled)")
	})
}

// split is a network in which calls of the vault that have a token go another way than all else.
type split struct{ login, vault http.RoundTripper }

func (s split) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Authorization") != "" {
		return s.vault.RoundTrip(r)
	}
	return s.login.RoundTrip(r)
}

func TestCheckNeedsNoPermission(t *testing.T) {
	t.Parallel()
	fake := azurefake.New()
	s := open(t, fake, nil)
	if err := s.Check(t.Context()); err != nil || fake.Count("ListSecrets") == 0 {
		t.Error(err)
	}
	fake.Fail(azurefake.Failure{Method: "ListSecrets", HTTP: 403, Code: "Forbidden", Inner: "ForbiddenByRbac", Times: 1})
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	fake.Fail(azurefake.Failure{Method: "ListSecrets", HTTP: 403, Code: "Forbidden", Inner: "ForbiddenByFirewall", Times: 1})
	contains(t, inspect(t, s.Check(t.Context()), resolver.AccessDenied).Error(), "firewall")
	if fake.Count("GetSecret") != 0 {
		t.Error("Check reads secrets")
	}
	fake.Fail(azurefake.Failure{Method: "ListSecrets", HTTP: 401, Code: "Unauthorized", Challenge: `Bearer authorization="x", resource="https://vault.azure.net"`})
	inspect(t, open(t, fake, nil).Check(t.Context()), resolver.Unavailable) // the SDK panics at that
}

func TestPut(t *testing.T) {
	t.Parallel()
	put := func(t *testing.T, s *azurekv.Store, ref resolver.Ref, value string) {
		t.Helper()
		if err := s.Put(t.Context(), ref, resolver.NewSecret(value)); err != nil {
			t.Error(err)
		}
	}
	t.Run("a version is added", func(t *testing.T) {
		t.Parallel()
		fake := azurefake.New()
		s := open(t, fake, nil)
		for _, v := range []string{"one", "two", "with \"quotes\" & <tags>\n"} {
			put(t, s, resolver.Ref{ID: "db"}, v)
			get(t, s, resolver.Ref{ID: "db"}, v)
		}
		if n := len(fake.Versions("db")); n != 3 {
			t.Errorf("%d versions", n)
		}
	})
	t.Run("a field is set, and all else stays", func(t *testing.T) {
		t.Parallel()
		fake := azurefake.New()
		fake.PutVersion("db", azurefake.Version{Value: `{"a":"1","b":"2"}`, ContentType: "application/json", Tags: map[string]string{"team": "x"}})
		s := open(t, fake, nil)
		put(t, s, resolver.Ref{ID: "db", Field: "a"}, "3")
		put(t, s, resolver.Ref{ID: "new", Field: "a"}, "1")
		get(t, s, resolver.Ref{ID: "new"}, `{"a":"1"}`)
		v := fake.Versions("db")[1]
		if v.Value != `{"a":"3","b":"2"}` || v.ContentType != "application/json" || v.Tags["team"] != "x" {
			t.Errorf("%+v", v)
		}
	})
	t.Run("what cannot be written", func(t *testing.T) {
		t.Parallel()
		fake := azurefake.New()
		version := fake.Put("db", resolvertest.Canary)
		s := open(t, fake, nil)
		value := resolver.NewSecret(resolvertest.Canary)
		inspect(t, s.Put(t.Context(), resolver.Ref{ID: "db", VersionID: version}, value), resolver.InvalidReference)
		inspect(t, s.Put(t.Context(), resolver.Ref{ID: "a_b"}, value), resolver.InvalidReference)
		inspect(t, s.Put(t.Context(), resolver.Ref{ID: "db", Field: "a"}, value), resolver.InvalidReference)
		inspect(t, s.Put(t.Context(), resolver.Ref{ID: "db"}, resolver.NewSecret(strings.Repeat("x", 25<<10+1))), resolver.InvalidReference)
		fake.Fail(azurefake.Failure{Method: "SetSecret", HTTP: 403, Code: "Forbidden", Inner: "ForbiddenByRbac", Message: resolvertest.Canary, Times: 1})
		contains(t, inspect(t, s.Put(t.Context(), resolver.Ref{ID: "db"}, value), resolver.AccessDenied).Hint(), `"Key Vault Secrets Officer"`, "--secret-permissions set")
		fake.Delete("db")
		e := inspect(t, s.Put(t.Context(), resolver.Ref{ID: "db"}, value), resolver.InvalidReference)
		contains(t, e.Error()+e.Hint(), "deleted, and its name is still taken", "az keyvault secret recover --vault-name my-vault --name db")
		if n := len(fake.Versions("db")); n != 1 {
			t.Errorf("%d versions", n)
		}
	})
}
