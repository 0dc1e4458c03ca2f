package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"kz/proxy/audit"
)

// followEvery is how often files are looked at. They are looked at, and not waited for, since they may lie anywhere.
const followEvery = 200 * time.Millisecond

// followAudit prints the latest session, or those that were asked for, and then what comes, of new sessions too, until ctx
// ends. That is how it is meant to end, so it is no error.
func (a *app) followAudit(ctx context.Context, files auditFiles, p *auditPrinter) error {
	at := map[string]*followed{}
	wanted := files.session
	if wanted == "" {
		wanted = "all"
	}
	now, err := files.list() // what is in others already is not shown
	if err != nil {
		return err
	}
	every := files
	every.session = wanted
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for first := true; ; first = false {
		paths, err := every.list()
		if err != nil {
			return err
		}
		for _, path := range paths {
			if at[path] == nil {
				at[path] = &followed{path: path, skip: first && !slices.Contains(now, path)}
			}
			latest := ""
			if first && files.session == "" && slices.Contains(now, path) {
				if latest, err = lastSession(ctx, path); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
			if err := at[path].read(ctx, func(l auditLine) error {
				if !ofSession(l.Session, wanted) || !ofSession(l.Session, latest) {
					return nil
				}
				a.ui.Progress("") // it may be on the same terminal
				return p.print(path, l)
			}, func() {
				a.ui.Warnf("the audit %s is another file now, or was cut; what comes is shown from its beginning", path)
			}); err != nil {
				return err
			}
		}
		if p.table != nil && !p.json {
			a.ui.Progress("following: " + p.table.sum.String())
		}
		select {
		case <-ctx.Done():
			a.ui.Progress("")
			return nil
		case <-tick.C:
		}
	}
}

// followed is a file that is read as it grows.
type followed struct {
	path string
	file os.FileInfo // that was read last
	at   int64       // up to where it was read
	part []byte      // of a line whose end has not come
	skip bool        // what is there now is not shown
}

// read gives the new whole lines to f, until ctx ends: a file may grow as fast as it is read.
// replaced is called before what has taken the place of the file is read from its beginning.
func (f *followed) read(ctx context.Context, give func(auditLine) error, replaced func()) error {
	file, err := openAudit(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it may come, or come again
	}
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("reading the audit: %w", err)
	}
	if f.file != nil && (!os.SameFile(f.file, info) || info.Size() < f.at) {
		f.at, f.part = 0, nil // another is there now, as after a rotation, or it was cut
		replaced()
	}
	f.file = info
	if f.skip {
		f.at, f.skip = info.Size(), false
	}
	buf := make([]byte, 64<<10)
	for ctx.Err() == nil {
		n, err := file.ReadAt(buf, f.at)
		f.at += int64(n)
		for _, c := range buf[:n] {
			if c != '\n' {
				f.part = append(f.part, c)
				continue
			}
			l, ok := parseAuditLine(f.part)
			f.part = nil
			if !ok {
				continue
			}
			if err := give(l); err != nil {
				return err
			}
		}
		if len(f.part) > audit.MaxLine {
			return fmt.Errorf("reading the audit %s: %w", f.path, audit.ErrLongLine)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the audit: %w", err)
		}
	}
	return nil
}
