package resolvertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kz/resolver"
)

// Canary is a part of every value that Run puts into a store, so that a value
// in the wrong place is found.
const Canary = "canary-5d0b7e3c"

// Harness is one store, set up for one subtest.
type Harness struct {
	Resolver resolver.Resolver
	// Put makes a secret, or changes its value. A value that is a JSON object goes
	// in as one; a store that has nothing but objects puts any other under a key
	// that it looks for by itself.
	Put func(t *testing.T, id, value string)
	// Ref names a secret, or a field of it. Nil: resolver.Ref{ID: id, Field: field}.
	Ref func(id, field string) resolver.Ref
	// Absent is the kind of error for a secret that is not there. "": NotFound.
	Absent resolver.Kind
	// Deny makes a secret unreadable. Nil: the store knows no permissions.
	Deny func(t *testing.T, id string)
	// Down makes the same store with nothing behind it. Nil: there is no server.
	Down func(t *testing.T) resolver.Resolver
	// Silent makes the same store with a server that takes requests and never
	// answers, and with this time limit. Nil: there is no server.
	Silent func(t *testing.T, limit time.Duration) resolver.Resolver
	// Credentials are what no error may show beside values: tokens, keys.
	Credentials []string
	// Minted are the fields of a store that makes its values itself, as STS does: Put only makes what they are made from,
	// and what comes back is a new JSON object of these fields each time.
	Minted []string
}

func (h Harness) ref(id, field string) resolver.Ref {
	if h.Ref == nil {
		return resolver.Ref{ID: id, Field: field}
	}
	return h.Ref(id, field)
}

// Run checks that a store does what resolver.Resolver and its optional
// interfaces promise. Each subtest opens a store of its own; all are parallel.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for name, test := range map[string]func(*testing.T, Harness){
		"a value comes back as it was put":                    values,
		"a field, a nested field and a missing one":           fields,
		"a secret that is not there":                          absent,
		"no reference at all":                                 empty,
		"a secret that may not be read":                       denied,
		"a store that is not there":                           down,
		"a store that never answers":                          silent,
		"a canceled caller":                                   canceled,
		"concurrent callers":                                  concurrent,
		"a changed value is seen":                             rotated,
		"a batch has an outcome for each reference, in order": batch,
		"a check":                              check,
		"what is written is there":             written,
		"a field is written beside the others": writtenField,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func values(t *testing.T, h Harness) {
	if h.Minted != nil {
		mintedValues(t, h)
		return
	}
	for i, v := range []string{
		"plain", "with space ", " and before", "quote ' and \" and `", `back\slash \n \\`, "new\nline", "-----BEGIN-----\nAAAA\nBBBB\n-----END-----\n",
		"cr\r\nlf", "tab\t", "$HOME ${HOME} $(id) %s %d", "# no comment", "a # b", "a=b=c", "ünïcødé 鍵 🔑", "<a href=\"x\">&amp;</a>", "1.50", "true", "null",
		`["a"]`, `"json"`, "https://user:pass@host/?q=1#f", strings.Repeat("0123456789abcdef", 4096-1),
	} {
		id := fmt.Sprintf("value-%d", i)
		v += Canary
		h.Put(t, id, v)
		if got := get(t, h, id, ""); got != v {
			t.Errorf("%.80q came back as %.80q (%d bytes, %d put)", v, got, len(got), len(v))
		}
	}
}

func fields(t *testing.T, h Harness) {
	if h.Minted != nil {
		mintedFields(t, h)
		return
	}
	h.Put(t, "doc", `{"api_key":"`+Canary+`-a","user":{"name":"`+Canary+`-n","ports":[80,443]},"n":1.5,"on":true,"text":"two\nlines \"q\" <&> é"}`)
	for field, want := range map[string]string{
		"api_key": Canary + "-a", "/api_key": Canary + "-a", "user.name": Canary + "-n", "/user/name": Canary + "-n", "user.ports.1": "443",
		"user.ports": "[80,443]", "n": "1.5", "on": "true", "text": "two\nlines \"q\" <&> é",
	} {
		if got := get(t, h, "doc", field); got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	e := h.fails(t, h.ref("doc", "nope"), resolver.FieldMissing)
	if want := []string{"api_key", "n", "on", "text", "user"}; !slices.Equal(e.Keys, want) {
		t.Errorf("the keys are %q", e.Keys)
	}
	if e = h.fails(t, h.ref("doc", "user.nope"), resolver.FieldMissing); !slices.Equal(e.Keys, []string{"name", "ports"}) {
		t.Errorf("the keys are %q", e.Keys)
	}
	h.Put(t, "text", "no JSON "+Canary)
	h.fails(t, h.ref("text", "nope"), resolver.FieldMissing)
}

func absent(t *testing.T, h Harness) {
	h.Put(t, "there", Canary)
	kind := h.Absent
	if kind == "" {
		kind = resolver.NotFound
	}
	if e := h.fails(t, h.ref("not-there", ""), kind); e.Hint() == "" {
		t.Error("there is no hint")
	}
}

func empty(t *testing.T, h Harness) {
	if e := h.fails(t, resolver.Ref{}, resolver.InvalidReference); e.Hint() == "" {
		t.Error("there is no hint")
	}
}

func denied(t *testing.T, h Harness) {
	if h.Deny == nil {
		return
	}
	h.Put(t, "closed", Canary)
	get(t, h, "closed", "")
	h.Deny(t, "closed")
	if e := h.fails(t, h.ref("closed", ""), resolver.AccessDenied); e.Hint() == "" {
		t.Error("there is no hint")
	}
}

func down(t *testing.T, h Harness) {
	if h.Down == nil {
		return
	}
	h.Resolver = h.Down(t)
	if e := h.fails(t, h.ref("any", ""), resolver.Unavailable); e.Hint() == "" {
		t.Error("there is no hint")
	}
	if c, ok := h.Resolver.(resolver.Checker); ok {
		h.inspect(t, c.Check(t.Context()), resolver.Unavailable)
	}
}

func silent(t *testing.T, h Harness) {
	if h.Silent == nil {
		return
	}
	const limit = 250 * time.Millisecond
	h.Resolver = h.Silent(t, limit)
	began := time.Now()
	h.fails(t, h.ref("any", ""), resolver.TimedOut)
	if d := time.Since(began); d < limit || d > limit+5*time.Second {
		t.Errorf("given up after %v, the limit is %v", d, limit)
	}
	if b, ok := h.Resolver.(resolver.BatchResolver); ok {
		for _, out := range b.ResolveBatch(t.Context(), []resolver.Ref{h.ref("a", ""), h.ref("b", "")}) {
			h.inspect(t, out.Err, resolver.TimedOut)
		}
	}
	if c, ok := h.Resolver.(resolver.Checker); ok {
		h.inspect(t, c.Check(t.Context()), resolver.TimedOut)
	}
}

func canceled(t *testing.T, h Harness) {
	h.Put(t, "k", Canary)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := h.Resolver.Resolve(ctx, h.ref("k", ""))
	if e := h.inspect(t, err, resolver.Unavailable); !errors.Is(e, context.Canceled) {
		t.Errorf("%v is not context.Canceled", e)
	}
	if h.Silent == nil {
		return
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	began := time.Now()
	_, err = h.Silent(t, time.Minute).Resolve(ctx, h.ref("k", ""))
	if e := h.inspect(t, err, resolver.Unavailable); !errors.Is(e, context.Canceled) {
		t.Errorf("%v is not context.Canceled", e)
	}
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("it took %v", d)
	}
}

func concurrent(t *testing.T, h Harness) {
	for i := range 4 {
		h.Put(t, fmt.Sprintf("c%d", i), fmt.Sprintf("%s-%d", Canary, i))
	}
	var all sync.WaitGroup
	for n := range 32 {
		all.Go(func() {
			id := fmt.Sprintf("c%d", n%4)
			r, err := h.Resolver.Resolve(t.Context(), h.ref(id, ""))
			if err != nil || h.Minted == nil && r.Secret.Reveal() != fmt.Sprintf("%s-%d", Canary, n%4) {
				t.Errorf("%s: %v", id, err)
			}
		})
	}
	all.Wait()
}

func rotated(t *testing.T, h Harness) {
	for _, v := range []string{"one-" + Canary, "two-" + Canary} {
		h.Put(t, "k", v)
		if got := get(t, h, "k", ""); got != v && h.Minted == nil {
			t.Errorf("got %q, want %q", got, v)
		}
	}
}

func batch(t *testing.T, h Harness) {
	b, ok := h.Resolver.(resolver.BatchResolver)
	if !ok {
		return
	}
	if h.Minted != nil {
		mintedBatch(t, h, b)
		return
	}
	var refs []resolver.Ref
	var want []string
	for i := range 45 {
		id, v := fmt.Sprintf("b%d", i), fmt.Sprintf("%s-%d", Canary, i)
		h.Put(t, id, `{"x":"`+v+`","y":"`+v+`y"}`)
		refs = append(refs, h.ref(id, "x"), h.ref(id, "y"), h.ref(id, "x"))
		want = append(want, v, v+"y", v)
	}
	refs = append(refs, h.ref("b1", "nope"), h.ref("gone", ""), h.ref("b2", "x"))
	outs := b.ResolveBatch(t.Context(), refs)
	if len(outs) != len(refs) {
		t.Fatalf("%d outcomes for %d references", len(outs), len(refs))
	}
	for i, v := range want {
		if outs[i].Err != nil || outs[i].Result.Secret.Reveal() != v {
			t.Errorf("%d: %v", i, outs[i].Err)
		}
	}
	h.inspect(t, outs[len(want)].Err, resolver.FieldMissing)
	kind := h.Absent
	if kind == "" {
		kind = resolver.NotFound
	}
	h.inspect(t, outs[len(want)+1].Err, kind)
	if last := outs[len(want)+2]; last.Err != nil || last.Result.Secret.Reveal() != Canary+"-2" {
		t.Error(last.Err)
	}
	if outs := b.ResolveBatch(t.Context(), nil); len(outs) != 0 {
		t.Errorf("%d outcomes for no reference", len(outs))
	}
}

func check(t *testing.T, h Harness) {
	h.Put(t, "k", Canary)
	if c, ok := h.Resolver.(resolver.Checker); ok {
		if err := c.Check(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func get(t *testing.T, h Harness, id, field string) string {
	t.Helper()
	r, err := h.Resolver.Resolve(t.Context(), h.ref(id, field))
	if err != nil {
		t.Fatalf("resolving %s %s: %v", id, field, err)
	}
	return r.Secret.Reveal()
}

func (h Harness) fails(t *testing.T, ref resolver.Ref, kind resolver.Kind) *resolver.Error {
	t.Helper()
	r, err := h.Resolver.Resolve(t.Context(), ref)
	if !r.Secret.IsZero() {
		t.Error("there is a value beside the error")
	}
	return h.inspect(t, err, kind)
}

// inspect checks that an error is of a kind and shows nothing it should not.
func (h Harness) inspect(t *testing.T, err error, kind resolver.Kind) *resolver.Error {
	t.Helper()
	var e *resolver.Error
	if !errors.As(err, &e) {
		t.Fatalf("%T %v is no *resolver.Error", err, err)
	}
	if e.Kind != kind {
		t.Errorf("%v is not %s", err, kind)
	}
	NoLeak(t, err, append([]string{Canary}, h.Credentials...)...)
	return e
}

// NoLeak checks that an error, printed or encoded in any way, and whatever it
// wraps, has none of the texts in it.
func NoLeak(t *testing.T, err error, texts ...string) {
	t.Helper()
	var b strings.Builder
	for e := err; e != nil; e = errors.Unwrap(e) {
		text, _ := json.Marshal(e)
		fmt.Fprintf(&b, "%v\n%+v\n%#v\n%q\n%s\n", e, e, e, e, text)
		if hint, ok := e.(interface{ Hint() string }); ok {
			b.WriteString(hint.Hint() + "\n")
		}
	}
	for _, text := range texts {
		if strings.Contains(b.String(), text) {
			t.Errorf("the error shows what it must not: %s", b.String())
		}
	}
}
