// Package audit records what kz did: one event for each request, and one for each tunnel that is not intercepted.
// An event names secrets, hosts and places; it never holds a value, a whole mask, a body or a query.
package audit

import "time"

// Kind is what an event is about.
type Kind string

// The kinds of events.
const (
	Request Kind = "request"
	Tunnel  Kind = "tunnel"
	Refusal Kind = "refusal"
)

// Event is one line of the audit stream. Its field names are a contract.
type Event struct {
	Time       time.Time  `json:"time"`
	Session    string     `json:"session"`
	Request    string     `json:"request"`
	Kind       Kind       `json:"kind"`
	Method     string     `json:"method,omitempty"`
	Host       string     `json:"host"`
	Port       int        `json:"port"`
	Path       string     `json:"path,omitempty"` // without the query; masks stand as {NAME}
	Status     int        `json:"status,omitempty"`
	BytesOut   int64      `json:"bytes_out"` // of bodies, toward the upstream; of a tunnel, all bytes
	BytesIn    int64      `json:"bytes_in"`  // of bodies, from the upstream as received, before scrubbing
	DurationMS float64    `json:"duration_ms"`
	Swapped    []Swapped  `json:"swapped,omitempty"`
	Withheld   []Withheld `json:"withheld,omitempty"`
	Scrubbed   []Scrubbed `json:"scrubbed,omitempty"`
	Code       string     `json:"code,omitempty"`
	Reason     string     `json:"reason,omitempty"`
}

// Swapped says that a secret's value was put into a place of the request.
type Swapped struct {
	Secret string `json:"secret"`
	Place  string `json:"place"`
}

// Withheld says that a secret's mask was found and left as it was.
type Withheld struct {
	Secret string `json:"secret"`
	Place  string `json:"place"`
	Reason string `json:"reason"`
}

// Scrubbed says how often a secret's value was taken out of a part of the response.
type Scrubbed struct {
	Secret string `json:"secret"`
	Where  string `json:"where"` // header, trailer, body, early_hints or frame
	Count  int    `json:"count"`
}

// Sink takes events. Write is safe for concurrent use. Once Write has failed, Err answers why from then on, so that a
// caller can refuse work that could not be recorded.
type Sink interface {
	Write(Event) error
	Err() error
}
