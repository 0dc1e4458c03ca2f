package resolver

import (
	"context"
	"time"
)

// Beside runs f beside the caller, who gives up on it, with the error of Transport, when ctx is done or limit has passed.
// It is for what cannot be interrupted: a file that may be a pipe or on a network, a library that takes no context. f then
// goes on, and what it returns is dropped.
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
			value, err := f()
			done <- result{value, err}
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
