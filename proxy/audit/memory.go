package audit

import "sync"

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
