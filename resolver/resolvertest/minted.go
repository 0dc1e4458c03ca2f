package resolvertest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"kz/resolver"
)

// mintedValues: each value is a new object of the fields that it should have.
func mintedValues(t *testing.T, h Harness) {
	h.Put(t, "k", Canary)
	seen := map[string]bool{}
	for range 3 {
		object := h.object(t, get(t, h, "k", ""))
		if seen[object[h.Minted[0]]] {
			t.Error("a value came twice")
		}
		seen[object[h.Minted[0]]] = true
	}
}

func mintedFields(t *testing.T, h Harness) {
	h.Put(t, "k", Canary)
	for _, field := range h.Minted {
		if get(t, h, "k", field) == "" || get(t, h, "k", "/"+field) == "" {
			t.Errorf("%s is empty", field)
		}
	}
	if e := h.fails(t, h.ref("k", "nope"), resolver.FieldMissing); !slices.Equal(e.Keys, slices.Sorted(slices.Values(h.Minted))) {
		t.Errorf("the keys are %q", e.Keys)
	}
}

// mintedBatch: what is asked for together of one place is of one object.
func mintedBatch(t *testing.T, h Harness, b resolver.BatchResolver) {
	var refs []resolver.Ref
	for i := range 3 {
		id := fmt.Sprintf("b%d", i)
		h.Put(t, id, Canary)
		refs = append(refs, h.ref(id, ""))
		for _, field := range h.Minted {
			refs = append(refs, h.ref(id, field))
		}
	}
	refs = append(refs, h.ref("b1", "nope"), h.ref("gone", ""))
	outs := b.ResolveBatch(t.Context(), refs)
	if len(outs) != len(refs) {
		t.Fatalf("%d outcomes for %d references", len(outs), len(refs))
	}
	for i := range 3 {
		from := i * (1 + len(h.Minted))
		if outs[from].Err != nil {
			t.Fatal(outs[from].Err)
		}
		object := h.object(t, outs[from].Result.Secret.Reveal())
		for n, field := range h.Minted {
			if out := outs[from+1+n]; out.Err != nil || out.Result.Secret.Reveal() != object[field] {
				t.Errorf("%s is of another object: %v", field, out.Err)
			}
		}
	}
	h.inspect(t, outs[len(outs)-2].Err, resolver.FieldMissing)
	h.inspect(t, outs[len(outs)-1].Err, h.absentKind())
}

// object is a minted value taken apart.
func (h Harness) object(t *testing.T, text string) map[string]string {
	t.Helper()
	var object map[string]string
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal("the value is no JSON object of strings")
	}
	if keys := slices.Sorted(maps.Keys(object)); !slices.Equal(keys, slices.Sorted(slices.Values(h.Minted))) {
		t.Errorf("the keys are %q", keys)
	}
	return object
}

func (h Harness) absentKind() resolver.Kind {
	if h.Absent == "" {
		return resolver.NotFound
	}
	return h.Absent
}
