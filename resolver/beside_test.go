package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"kz/resolver"
)

func TestBeside(t *testing.T) {
	t.Parallel()
	t.Run("gives what the function gives", func(t *testing.T) {
		t.Parallel()
		if v, err := resolver.Beside(t.Context(), time.Minute, func() (int, error) { return 7, io.EOF }); v != 7 || !errors.Is(err, io.EOF) {
			t.Error(v, err)
		}
	})
	t.Run("gives up after the limit", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			v, err := resolver.Beside(t.Context(), time.Minute, func() (int, error) { time.Sleep(time.Hour); return 7, nil })
			if v != 0 || resolver.KindOf(err) != resolver.TimedOut || time.Since(began) != time.Minute {
				t.Error(v, err, time.Since(began))
			}
			time.Sleep(time.Hour) // the function ends, and nobody minds
		})
	})
	t.Run("makes an error of a panic, without its text", func(t *testing.T) {
		t.Parallel()
		v, err := resolver.Beside(t.Context(), time.Minute, func() (int, error) { panic(canary) })
		if v != 0 || resolver.KindOf(err) != resolver.Unavailable {
			t.Error(v, err)
		}
		clean(t, "the error", fmt.Sprintf("%v %+v", err, err))
	})
	t.Run("gives up with its caller", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := resolver.Beside(ctx, time.Minute, func() (int, error) { t.Error("it ran"); return 0, nil })
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
