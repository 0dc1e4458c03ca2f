// Package resolver fetches the values of secrets from the stores that keep
// them, and holds them for as long as they are fresh.
//
// A store implements [Resolver], one method. A [Cache] stands in front of all
// stores of a session: it fetches each secret once however many ask, renews it
// when it is due, and serves the last value for a while when the store is away.
//
//	store, err := vault.New(vault.Options{Address: "https://vault.internal:8200"})
//	…
//	cache, err := resolver.NewCache(resolver.CacheOptions{Sources: []resolver.Source{
//		{Name: "STRIPE_KEY", Backend: "vault", Resolver: store, Ref: resolver.Ref{ID: "secret/stripe"}, TTL: -1},
//	}})
//	…
//	secret, err := cache.Get(ctx, "STRIPE_KEY")
//
// A value travels as a [Secret], which no formatter, logger or encoder prints.
// Every failure is an [*Error], whose text is this module's own: a store's
// answer may repeat a token or a value, and is never quoted.
package resolver

import (
	"context"
	"time"
)

// DefaultTimeout bounds one call of a store, the store's own retries included.
const DefaultTimeout = 30 * time.Second

// Ref says where one value lives inside a store. It is comparable, and the zero
// value of every field but ID means "not given".
type Ref struct {
	// ID is the secret_id, path, name or key, in the store's own syntax.
	ID string
	// Field picks one member of a JSON value; see [Field].
	Field string

	VersionStage, VersionID string // AWS Secrets Manager; Azure has only VersionID
	Version                 int    // Vault KV v2, Google, SSM
	Mount                   string // Vault

	RoleARN         string // AWS STS
	DurationSeconds int    // AWS STS
	SessionName     string // AWS STS
}

// Place is the Ref without its Field: what a store has to fetch.
func (r Ref) Place() Ref {
	r.Field = ""
	return r
}

// Result is one value and how long it is good for.
type Result struct {
	Secret Secret
	// RefreshAt is when the value should be fetched again. Zero means that the
	// store grants no lease: the cache's own rule applies.
	RefreshAt time.Time
}

// Resolver fetches values from one store.
//
// Resolve returns the value as it is now at the store, never a kept one; what
// the store leases may stay the same while its lease lasts, unless the call is
// one of [Anew]. Its
// error is an *Error, or wraps one; it names neither the secret nor the
// backend, which the Cache adds. It gives up after the store's time limit
// (DefaultTimeout unless the store was made with another) with TimedOut, and at
// once when ctx is done. It is safe for concurrent use.
type Resolver interface {
	Resolve(ctx context.Context, ref Ref) (Result, error)
}

// BatchResolver is a Resolver that can fetch several values with fewer calls.
//
// ResolveBatch returns one Outcome for each ref, in their order. Refs of one
// Place come from one fetch of it. The time limit holds for each call that it
// makes, not for all of them together.
type BatchResolver interface {
	Resolver
	ResolveBatch(ctx context.Context, refs []Ref) []Outcome
}

// Outcome is what Resolve would have returned.
type Outcome struct {
	Result Result
	Err    error
}

// Checker is a Resolver that can say whether its store answers and accepts its
// credentials. Check makes at least one call, and reads no secret.
type Checker interface {
	Check(ctx context.Context) error
}

// Putter is a Resolver whose store can be written to. Put stores a whole value,
// or one field of a JSON object when ref has a Field, its other fields kept; it
// makes the secret if there is none. Its errors are those of Resolve.
type Putter interface {
	Put(ctx context.Context, ref Ref, value Secret) error
}

// Closer is a Resolver that holds something at its store: leases, a login. Close
// gives it back, at the end of a session; nothing is resolved after. Close gives
// up when ctx is done.
type Closer interface {
	Close(ctx context.Context) error
}

// Keeper is a Resolver with values that end early unless something is done for
// them: leases that are renewed at the use of the value. Keep does it where the
// value was given away, to a program that will not ask again, until ctx is done
// or there is nothing to do.
type Keeper interface {
	Keep(ctx context.Context)
}

// Warner is a Resolver that knows of something unsafe in how it was set up.
// Each warning is one sentence for the user.
type Warner interface {
	Warnings() []string
}
