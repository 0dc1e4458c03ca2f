package env_test

import (
	"os"
	"strings"
	"sync"
	"testing"

	"kz/resolver"
	"kz/resolver/env"
	"kz/resolver/resolvertest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	resolvertest.Shown(t, "env", "", "an environment in memory; by one read each the process's own")
	resolvertest.Run(t, func(t *testing.T) resolvertest.Harness {
		var vars sync.Map
		s, err := env.New(env.Options{Lookup: func(name string) (string, bool) {
			v, ok := vars.Load(name)
			if !ok {
				return "", false
			}
			return v.(string), true
		}})
		if err != nil {
			t.Fatal(err)
		}
		return resolvertest.Harness{
			Resolver: s,
			Put:      func(_ *testing.T, id, value string) { vars.Store(id, value) },
		}
	})
}

func TestReferences(t *testing.T) {
	t.Setenv("KZ_TEST_A", `{"x":"one"}`)
	t.Setenv("KZ_TEST_EMPTY", "")
	os.Unsetenv("KZ_TEST_UNSET")
	s, err := env.New(env.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		ref            resolver.Ref
		want, variable string
		kind           resolver.Kind
	}{
		"the id is the variable":                    {resolver.Ref{ID: "KZ_TEST_A"}, `{"x":"one"}`, "KZ_TEST_A", ""},
		"the field is, without an id":               {resolver.Ref{Field: "KZ_TEST_A"}, `{"x":"one"}`, "KZ_TEST_A", ""},
		"with both the field is one of the value's": {resolver.Ref{ID: "KZ_TEST_A", Field: "x"}, "one", "KZ_TEST_A", ""},
		"an empty variable is a value":              {resolver.Ref{ID: "KZ_TEST_EMPTY"}, "", "KZ_TEST_EMPTY", ""},
		"an unset one is not found":                 {resolver.Ref{ID: "KZ_TEST_UNSET"}, "", "KZ_TEST_UNSET", resolver.NotFound},
	} {
		r, err := s.Resolve(t.Context(), c.ref)
		if r.Secret.Reveal() != c.want || resolver.KindOf(err) != c.kind || (err == nil) == r.Secret.IsZero() {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && !strings.Contains(err.Error(), c.variable) {
			t.Errorf("%s: %v", name, err)
		}
		if v := env.Variable(c.ref); v != c.variable {
			t.Errorf("%s: %s", name, v)
		}
	}
}
