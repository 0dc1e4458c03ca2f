// Package env reads secrets from kz's own environment.
//
// A reference names a variable by its ID, or by its Field when it has no ID.
// With both, the Field picks a member of the variable's JSON value.
package env

import (
	"context"
	"os"

	"kz/resolver"
)

// Options sets up a Store.
type Options struct {
	// Lookup returns a variable. Nil: os.LookupEnv.
	Lookup func(name string) (value string, ok bool)
}

// Store is the environment. It is safe for concurrent use when Lookup is.
type Store struct{ lookup func(string) (string, bool) }

// New makes a Store. The error is always nil; it is there because every store's New has one.
func New(o Options) (*Store, error) {
	if o.Lookup == nil {
		o.Lookup = os.LookupEnv
	}
	return &Store{o.Lookup}, nil
}

// Variable is the name of the variable that a reference stands for: a child
// that gets the secret by another way must not get it by this one.
func Variable(ref resolver.Ref) string {
	if ref.ID != "" {
		return ref.ID
	}
	return ref.Field
}

// Resolve returns the value of one variable. An unset variable is NotFound, an
// empty one is a value.
func (s *Store) Resolve(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	if err := ctx.Err(); err != nil {
		return resolver.Result{}, resolver.Transport(err)
	}
	name, field := Variable(ref), ref.Field
	if ref.ID == "" {
		field = ""
	}
	if name == "" {
		return resolver.Result{}, &resolver.Error{Kind: resolver.InvalidReference, Message: "no variable is named", Advice: "write `name = \"VARIABLE\"` in the secret"}
	}
	raw, ok := s.lookup(name)
	if !ok {
		return resolver.Result{}, &resolver.Error{Kind: resolver.NotFound, Message: "the variable " + name + " is not set where kz runs",
			Advice: "set it before kz starts: export " + name + "=…"}
	}
	return resolver.PickField(resolver.Result{Secret: resolver.NewSecret(raw)}, field, resolver.Field)
}

// Check always succeeds.
func (s *Store) Check(context.Context) error { return nil }
