package resolver

import "context"

type anewKey struct{}

// Anew marks a call that is made because the kept value may be wrong, or may not be kept: an upstream refused it, or a
// person asked for what the store has now. A store that leases values fetches another one then, where it would otherwise
// go on with the one it has.
func Anew(ctx context.Context) context.Context { return context.WithValue(ctx, anewKey{}, true) }

// IsAnew reports whether ctx is of Anew.
func IsAnew(ctx context.Context) bool { return ctx.Value(anewKey{}) != nil }
