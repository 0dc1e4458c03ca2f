package resolver

import (
	"context"
	"time"
)

// Beside runs f beside the caller, who gives up on it, with the error of Transport, when ctx is done or limit has passed.
// It is for what cannot be interrupted: a file that may be a pipe or on a network, a library that takes no context. f then
// goes on, and what it returns is dropped. A panic in it is an error without its text.
func Beside[T any](ctx context.Context, limit time.Duration, f func() (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	if ctx.Err() == nil {
		go func() {
			r := result{err: errBroken}
			defer func() {
				_ = recover() // its text may hold a value
				done <- r
			}()
			value, err := f()
			r = result{value, err}
		}()
	}
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, Transport(ctx.Err())
	}
}
