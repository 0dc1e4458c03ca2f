package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// File is a Sink of JSON lines.
type File struct {
	f    *os.File
	path string
	err  atomic.Pointer[error] // the first failure; asked before each request, so not behind mu

	mu sync.Mutex // one line at a time, also where the file system would mix them
}

// OpenFile opens path for appending, with mode 0600, and makes its directory (0700) when it is missing. A symbolic link
// at path is an error: an audit stream must not be led elsewhere.
func OpenFile(path string) (*File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making the audit directory: %w", err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|noFollow, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the audit file: %w", err)
	}
	return &File{f: f, path: path}, nil
}

// Path is where the stream is written.
func (a *File) Path() string { return a.path }

// lines are the buffers of Write.
var lines = sync.Pool{New: func() any { return new([]byte) }}

// maxLine is the longest buffer that is kept.
const maxLine = 16 << 10

// Write appends one line with a single write. The first failure stays: see Err.
func (a *File) Write(e Event) error {
	if err := a.Err(); err != nil {
		return err
	}
	room := lines.Get().(*[]byte)
	line := appendLine((*room)[:0], &e)
	a.mu.Lock()
	if err := a.Err(); err == nil {
		if _, err := a.f.Write(line); err != nil {
			a.fail(fmt.Errorf("writing the audit file: %w", err))
		}
	}
	a.mu.Unlock()
	if cap(line) <= maxLine {
		*room = line
		lines.Put(room)
	}
	return a.Err()
}

// fail notes the first failure.
func (a *File) fail(err error) { a.err.CompareAndSwap(nil, &err) }

// Err is the first failure of Write.
func (a *File) Err() error {
	if err := a.err.Load(); err != nil {
		return *err
	}
	return nil
}

// Close closes the file. Later writes fail.
func (a *File) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fail(errors.New("audit: the stream is closed"))
	return a.f.Close()
}

// Memory is a Sink that keeps its events, for a summary or a test.
type Memory struct {
	mu     sync.Mutex
	events []Event
}

// Write keeps e.
func (m *Memory) Write(e Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = append(m.events, e)
	return nil
}

// Err is always nil.
func (m *Memory) Err() error { return nil }

// Events is a copy of what was written so far.
func (m *Memory) Events() []Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Event(nil), m.events...)
}
