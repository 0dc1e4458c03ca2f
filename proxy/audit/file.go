package audit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
)

// File is a Sink of JSON lines in one file, which are only appended and form a chain. It has the file for itself while it
// is open. Once a line could not be written whole, or the file is not where and as it was left, nothing more is written.
//
// A line that was written is with the system: it outlives kz, and not always a loss of power.
type File struct {
	f    *os.File
	path string
	same *sameFile             // nil when it is a device, which cannot be looked at
	size atomic.Int64          // of what has been written; changed under mu
	err  atomic.Pointer[error] // the first failure; asked before each request, so not behind mu

	mu    sync.Mutex // one line at a time: each holds the hash of the one before
	chain chain
	lead  string // goes before the next line: ends one that was left incomplete
}

// OpenFile opens path for appending, with mode 0600, and makes its directory (0700) when it is missing. A file that is
// there must be one of this user's that nobody else can read, and end as kz left it: the chain goes on behind it. A
// symbolic link at path is an error (an audit stream must not be led elsewhere), and so is a file that another kz writes.
func OpenFile(path string) (_ *File, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening the audit file: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making the audit directory: %w", err)
	}
	// Written only by appending; read once, to go on behind what is there.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_RDWR|openFlags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the audit file: %w", err)
	}
	a := &File{f: f, path: path}
	if err := a.take(); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("opening the audit file %s: %w", path, err)
	}
	return a, nil
}

// take makes the file this File's own and finds where its chain ends.
func (a *File) take() error {
	info, err := a.f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		if info.Mode()&os.ModeCharDevice == 0 {
			return errors.New("it is not a regular file")
		}
		return nil
	}
	if !ownAlone(info) {
		return errors.New("others can read or write it, or it belongs to another user; `chmod 600` closes it")
	}
	if err := lock(a.f); err != nil {
		return err
	}
	// Its size is looked at under the lock.
	if info, err = a.f.Stat(); err != nil {
		return err
	}
	a.same = newSameFile(info)
	a.size.Store(info.Size())
	return a.resume(info.Size())
}

// resumeLen is how much of a file's end is verified before it is gone on with.
const resumeLen = 2 * MaxLine

// resume finds the end of the chain.
func (a *File) resume(size int64) error {
	if size == 0 {
		return nil
	}
	from := max(0, size-resumeLen)
	v := verifier{within: from > 0}
	tail, err := v.run(io.NewSectionReader(a.f, from, size-from))
	if err != nil {
		return fmt.Errorf("reading its end: %w", err)
	}
	switch {
	case v.report.Lines == 0 && !a.begun(size):
		return errors.New("it is not an audit of kz")
	case v.report.BadLine > 0:
		return fmt.Errorf("its chain is broken (%s); `kz audit --verify` says where", v.report.Why)
	}
	a.chain = v.chain
	if len(tail) > 0 {
		a.lead = "\n"
		if a.chain.check(tail) != nil { // only its newline may be missing
			a.chain.skip(tail)
		}
	}
	return nil
}

// begun reports whether a file without a whole line begins as one.
func (a *File) begun(size int64) bool {
	head := make([]byte, min(size, int64(len(lineBegin))))
	_, err := a.f.ReadAt(head, 0)
	return err == nil && strings.HasPrefix(lineBegin, string(head))
}

// Path is where the stream is written.
func (a *File) Path() string { return a.path }

// End is how many lines the file has and the last hash of its chain, in hex; "" when it has none.
func (a *File) End() (lines uint64, chain string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.chain.seq, a.chain.hex()
}

// lines are the buffers of Write.
var lines = sync.Pool{New: func() any { return new([]byte) }}

// maxRoom is the longest buffer that is kept.
const maxRoom = 16 << 10

// Write appends one line with a single write. The first failure stays: see Err.
func (a *File) Write(e Event) error {
	if err := a.failure(); err != nil {
		return err
	}
	room := lines.Get().(*[]byte)
	line := appendEvent((*room)[:0], &e)
	a.mu.Lock()
	if a.failure() == nil {
		line = a.append(line)
	}
	a.mu.Unlock()
	if cap(line) <= maxRoom {
		*room = line
		lines.Put(room)
	}
	return a.failure()
}

// append seals and writes a line and returns its buffer. mu is held.
func (a *File) append(line []byte) []byte {
	if err := a.same.unchanged(a.f, a.size.Load()); err != nil {
		a.fail(err)
		return line
	}
	next := a.chain
	line = next.seal(line)
	if a.lead != "" {
		line = append([]byte(a.lead), line...)
	}
	// What a short write leaves is ended by the next kz, and told by the chain.
	n, err := a.f.Write(line)
	a.size.Add(int64(n))
	if err != nil {
		a.fail(err)
		return line
	}
	a.chain, a.lead = next, ""
	return line
}

// fail notes the first failure.
func (a *File) fail(err error) {
	err = fmt.Errorf("writing the audit file: %w", err)
	a.err.CompareAndSwap(nil, &err)
}

func (a *File) failure() error {
	if err := a.err.Load(); err != nil {
		return *err
	}
	return nil
}

// Err is why no more can be written: the first failure of Write, or that the file is not at its path any more, or shorter
// than it was.
func (a *File) Err() error {
	if a.failure() == nil {
		if err := a.same.there(a.path, a.size.Load()); err != nil {
			a.fail(err)
		}
	}
	return a.failure()
}

// Check is Err, and sees too that nobody else has added to the file.
func (a *File) Check() error {
	if err := a.Err(); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.same.unchanged(a.f, a.size.Load())
	if err != nil {
		a.fail(err)
	}
	return a.failure()
}

// Close closes the file. Later writes fail. Its error tells also what Check would.
func (a *File) Close() error {
	was := a.Check()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fail(errors.New("the stream is closed"))
	return errors.Join(was, a.f.Close())
}
