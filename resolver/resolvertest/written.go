package resolvertest

import (
	"testing"

	"kz/resolver"
)

// written: a store that can be written to makes what is not there and changes what is.
func written(t *testing.T, h Harness) {
	p, ok := h.Resolver.(resolver.Putter)
	if !ok {
		return
	}
	for _, v := range []string{Canary + "-new", Canary + " 'changed' \"$x\"\nline\n", `{"a":"` + Canary + `","b":"c"}`} {
		if err := p.Put(t.Context(), h.ref("written", ""), resolver.NewSecret(v)); err != nil {
			t.Fatalf("writing: %v", err)
		}
		if got := get(t, h, "written", ""); got != v {
			t.Errorf("%q came back as %q", v, got)
		}
	}
	err := p.Put(t.Context(), resolver.Ref{}, resolver.NewSecret(Canary))
	if e := h.inspect(t, err, resolver.InvalidReference); e.Hint() == "" {
		t.Error("there is no hint")
	}
}

func writtenField(t *testing.T, h Harness) {
	p, ok := h.Resolver.(resolver.Putter)
	if !ok {
		return
	}
	put := func(id, field, v string) error {
		return p.Put(t.Context(), h.ref(id, field), resolver.NewSecret(v))
	}
	for _, step := range []struct{ field, value string }{{"one", Canary + "-1"}, {"two", Canary + "-2"}, {"one", Canary + "-3"}} {
		if err := put("fields", step.field, step.value); err != nil {
			t.Fatalf("writing %s: %v", step.field, err)
		}
	}
	for field, want := range map[string]string{"one": Canary + "-3", "two": Canary + "-2"} {
		if got := get(t, h, "fields", field); got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	h.Put(t, "plain", "no JSON "+Canary)
	if put("plain", "one", Canary) == nil {
		return // a store of objects keeps a plain value under a key of its own, beside which there is room
	}
	h.inspect(t, put("plain", "one", Canary), resolver.InvalidReference)
	if got := get(t, h, "plain", ""); got != "no JSON "+Canary {
		t.Errorf("a refused write left %q", got)
	}
}
