package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"kz/cmd/kz/config"
)

const (
	// editPatience is how long kz waits for another one that changes a file: that takes milliseconds, and a disk that
	// syncs slowly some more.
	editPatience = 10 * time.Second
	editEvery    = 10 * time.Millisecond
)

// editing keeps every other kz of this user from changing a file of the configuration, or the approvals, until done is
// called: what is read after it is still so when it is written. The lock lies with kz's own state, where no program of a
// workspace can hold it; where there is no such place, or no locks, a file that changed is noticed right before it is replaced.
func (a *app) editing(ctx context.Context) (done func(), err error) {
	unlocked := func() {}
	trust, err := config.TrustPath(a.getenv)
	if err != nil || a.notInWorkspace("", trust) != nil {
		return unlocked, nil
	}
	dir, err := a.stateDir()
	if err != nil {
		return unlocked, nil
	}
	path := filepath.Join(dir, "edit.lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return unlocked, nil
	}
	limit := time.After(editPatience)
	for {
		if taken, err := tryLock(f); taken || err != nil {
			return func() { _ = f.Close() }, nil // which gives it back; the file stays, or two could have a lock each
		}
		select {
		case <-time.After(editEvery):
			continue
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-limit:
			err = withHint(fmt.Errorf("another kz has been changing files for %s; nothing was written", editPatience),
				"try again once it is done; this shows which one: fuser %s", path)
		}
		_ = f.Close()
		return nil, err
	}
}
