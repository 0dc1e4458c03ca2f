package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// File is a Sink of JSON lines.
type File struct {
	mu   sync.Mutex
	f    *os.File
	buf  bytes.Buffer
	err  error
	path string
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

// Write appends one line with a single write. The first failure stays: see Err.
func (a *File) Write(e Event) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return a.err
	}
	a.buf.Reset()
	enc := json.NewEncoder(&a.buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		a.err = fmt.Errorf("encoding an audit event: %w", err)
		return a.err
	}
	if _, err := a.f.Write(a.buf.Bytes()); err != nil {
		a.err = fmt.Errorf("writing the audit file: %w", err)
	}
	return a.err
}

// Err is the first failure of Write.
func (a *File) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// Close closes the file. Later writes fail.
func (a *File) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil {
		a.err = errors.New("audit: the stream is closed")
	}
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
