//go:build linux

package keychain_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"kz/resolver"
	"kz/resolver/keychain"
	"kz/resolver/resolvertest"
	"kz/test/bed"
)

// fakeService is a Secret Service with one entry, which is locked: to unlock it, it asks. Its errors repeat the value.
type fakeService struct {
	conn      *dbus.Conn
	answers   bool  // the prompt is answered as soon as it is shown
	refuses   bool  // with a no
	callers   int32 // how many must have looked for the entry before the prompt is answered
	searches  atomic.Int32
	prompts   atomic.Int32
	unlocked  atomic.Bool
	fails     string // the name of the error of every SearchItems
	twice     bool
	shown     chan struct{}
	dismissed chan struct{}
}

const (
	fakeItem   = dbus.ObjectPath("/org/freedesktop/secrets/collection/x/1")
	fakePrompt = dbus.ObjectPath("/org/freedesktop/secrets/prompt/p1")
)

func (f *fakeService) OpenSession(algorithm string, _ dbus.Variant) (dbus.Variant, dbus.ObjectPath, *dbus.Error) {
	if algorithm != "plain" {
		return dbus.Variant{}, "", dbus.NewError("org.freedesktop.DBus.Error.NotSupported", nil)
	}
	return dbus.MakeVariant(""), "/org/freedesktop/secrets/session/s1", nil
}

func (f *fakeService) SearchItems(attributes map[string]string) (open, closed []dbus.ObjectPath, _ *dbus.Error) {
	f.searches.Add(1)
	switch {
	case f.fails != "":
		return nil, nil, dbus.NewError(f.fails, []any{resolvertest.Canary})
	case attributes["service"] != "kz" || attributes["username"] != "k" || len(attributes) != 2:
		return nil, nil, nil
	case f.twice:
		return []dbus.ObjectPath{fakeItem, fakeItem + "2"}, nil, nil
	}
	return nil, []dbus.ObjectPath{fakeItem}, nil
}

func (f *fakeService) Unlock([]dbus.ObjectPath) ([]dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	if f.unlocked.Load() {
		return []dbus.ObjectPath{fakeItem}, "/", nil
	}
	return nil, fakePrompt, nil
}

// fakeDialog is its prompt.
type fakeDialog struct{ *fakeService }

func (f fakeDialog) Prompt(string) *dbus.Error {
	if f.prompts.Add(1) == 1 {
		close(f.shown)
	}
	if f.answers {
		for deadline := time.Now().Add(10 * time.Second); f.searches.Load() < f.callers && time.Now().Before(deadline); {
			time.Sleep(5 * time.Millisecond)
		}
		f.unlocked.Store(!f.refuses)
		_ = f.conn.Emit("/another/prompt", "org.freedesktop.Secret.Prompt.Completed", true, dbus.MakeVariant(""))
		_ = f.conn.Emit(fakePrompt, "org.freedesktop.Secret.Prompt.Completed", f.refuses, dbus.MakeVariant([]dbus.ObjectPath{fakeItem}))
	}
	return nil
}

func (f fakeDialog) Dismiss() *dbus.Error {
	close(f.dismissed)
	return nil
}

// fakeEntry is its entry.
type fakeEntry struct{}

func (fakeEntry) GetSecret(session dbus.ObjectPath) (struct {
	Session           dbus.ObjectPath
	Parameters, Value []byte
	ContentType       string
}, *dbus.Error) {
	return struct {
		Session           dbus.ObjectPath
		Parameters, Value []byte
		ContentType       string
	}{session, nil, []byte("value"), "text/plain"}, nil
}

func serve(t *testing.T, f *fakeService) string {
	t.Helper()
	bus := bed.NewBus(t)
	f.conn, f.shown, f.dismissed = connect(t, bus), make(chan struct{}), make(chan struct{})
	for _, e := range []struct {
		v     any
		path  dbus.ObjectPath
		iface string
	}{{f, "/org/freedesktop/secrets", "org.freedesktop.Secret.Service"}, {fakeDialog{f}, fakePrompt, "org.freedesktop.Secret.Prompt"}, {fakeEntry{}, fakeItem, "org.freedesktop.Secret.Item"}} {
		if err := f.conn.Export(e.v, e.path, e.iface); err != nil {
			t.Fatal(err)
		}
	}
	if reply, err := f.conn.RequestName("org.freedesktop.secrets", dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(reply, err)
	}
	return bus.Address
}

func TestPrompts(t *testing.T) {
	t.Parallel()
	t.Run("one that is answered", func(t *testing.T) {
		t.Parallel()
		s := open(t, serve(t, &fakeService{answers: true}), nil)
		r, err := s.Resolve(t.Context(), resolver.Ref{ID: "k"})
		if err != nil || r.Secret.Reveal() != "value" {
			t.Error(err)
		}
	})
	for _, refuses := range []bool{false, true} {
		t.Run(fmt.Sprintf("one for many calls, refused: %v", refuses), func(t *testing.T) {
			t.Parallel()
			f := &fakeService{answers: true, refuses: refuses, callers: 8}
			s := open(t, serve(t, f), nil)
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					if _, err := s.Resolve(t.Context(), resolver.Ref{ID: "k"}); (resolver.KindOf(err) == resolver.AccessDenied) != refuses {
						t.Error(err)
					}
				})
			}
			all.Wait()
			// Who comes just after a refusal asks again.
			if n := f.prompts.Load(); n != 1 && !refuses || n > 4 {
				t.Errorf("there were %d prompts", n)
			}
		})
	}
	t.Run("one that nobody answers ends with the limit, and is taken back", func(t *testing.T) {
		t.Parallel()
		f := &fakeService{}
		s := open(t, serve(t, f), func(o *keychain.Options) { o.Timeout = 3 * time.Second })
		_, err := s.Resolve(t.Context(), resolver.Ref{ID: "k"})
		fails(t, err, resolver.TimedOut, "waiting for its password")
		arrives(t, f.dismissed)
	})
	t.Run("one whose caller goes away is taken back at once", func(t *testing.T) {
		t.Parallel()
		f := &fakeService{}
		s := open(t, serve(t, f), nil)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-f.shown
			cancel()
		}()
		_, err := s.Resolve(ctx, resolver.Ref{ID: "k"})
		resolvertest.NoLeak(t, err, resolvertest.Canary)
		if resolver.KindOf(err) != resolver.Unavailable || ctx.Err() == nil {
			t.Error(err)
		}
		arrives(t, f.dismissed)
	})
}

func arrives(t *testing.T, c chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(10 * time.Second):
		t.Error("the prompt stays open")
	}
}

func TestWhatAServiceSaysIsNotPassedOn(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]resolver.Kind{
		"org.freedesktop.Secret.Error.IsLocked":        resolver.AccessDenied,
		"org.freedesktop.Secret.Error.NoSuchObject":    resolver.NotFound,
		"org.freedesktop.DBus.Error.AccessDenied":      resolver.AccessDenied,
		"org.freedesktop.DBus.Error.NoReply":           resolver.Unavailable,
		"org.freedesktop.DBus.Error.Spawn.ChildExited": resolver.Unavailable,
		"org.freedesktop.DBus.Error.Failed":            resolver.Unavailable,
		"org.example.Error.Canary":                     resolver.Unavailable,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, serve(t, &fakeService{fails: name}), nil)
			_, err := s.Resolve(t.Context(), resolver.Ref{ID: "k"})
			fails(t, err, kind)
			fails(t, s.Put(t.Context(), resolver.Ref{ID: "k"}, resolver.NewSecret(resolvertest.Canary)), kind)
		})
	}
	t.Run("two entries of the same name", func(t *testing.T) {
		t.Parallel()
		_, err := open(t, serve(t, &fakeService{twice: true}), nil).Resolve(t.Context(), resolver.Ref{ID: "k"})
		fails(t, err, resolver.InvalidReference, "more than one such entry")
	})
}
