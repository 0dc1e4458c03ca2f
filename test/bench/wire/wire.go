// Package wire holds what the load generator and the origin of the benchmarks say to each other. Both sides compare whole
// messages with what they should be, which costs little and lets no proxy pass that drops or leaves something.
package wire

import (
	"fmt"
	"strings"
)

// The values that the origin wants to see. They are longer than a mask, so that a swap changes lengths.
const (
	Value       = "bench-4uR7cXq9TzL2mVb6NsKd8WpEy3HfGj5AoQi1ZxCvBnM0"
	UploadValue = "bench-Xz81LkQw5TyVn3PbJd7RmGs4HcUe9FaWo2KiZtYxEqB6"
)

// Hosts of the origin. Every name under NewDomain is one of its hosts, for connections to hosts that were never seen before.
// UploadHost takes UploadValue, which may stand anywhere in a body, the others take Value.
const (
	Host       = "api.bench.test"
	UploadHost = "upload.bench.test"
	NewDomain  = "new.bench.test"
)

// NewHost is the nth host under NewDomain.
func NewHost(n int64) string { return fmt.Sprintf("h%d.%s", n, NewDomain) }

// Paths of the origin.
const (
	Chat   = "/v1/chat"   // POST: ChatBody, answered with ChatAnswer
	Bulk   = "/v1/bulk"   // GET ?size=N: N bytes, the last ones BulkTail
	Sink   = "/v1/upload" // PUT ?size=N at UploadHost: N bytes, the last ones BulkTail; answered with ChatAnswer
	Events = "/v1/events" // GET ?count=N&gap=D&hold=D&id=I: headers, after hold or Begin the first of N events, one each gap
	Begin  = "/v1/begin"  // GET ?id=I: the events of I begin
)

// ChatBody is a small JSON request with the token in a field, too.
func ChatBody(token string) []byte {
	return []byte(`{"model":"m","token":"` + token + `","messages":[{"role":"user","content":"` + strings.Repeat("tell me more ", 40) + `"}]}`)
}

// ChatAnswer is a small JSON answer that echoes the token.
func ChatAnswer(token string) []byte {
	return []byte(`{"id":"x","object":"reply","token":"` + token + `","choices":[{"text":"` + strings.Repeat("lorem ipsum ", 40) + `"}]}`)
}

// BulkTail ends a large body.
func BulkTail(token string) []byte { return []byte("\n\"token\":\"" + token + "\"\n") }

// Fill is what stands for the token in an answer whose length is kept: as long as the value.
func Fill(token string) string {
	return (token + strings.Repeat("_", len(Value)))[:len(Value)]
}

// BulkBlock is what large bodies consist of before their tail.
func BulkBlock() []byte {
	const line = `{"id":"chatcmpl-7f3a9b","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"the quick brown fox"}}]}` + "\n"
	return []byte(strings.Repeat(line, 1<<16/len(line)))
}

// Event is one event of a stream: when it was sent, by the machine's clock, and the token.
func Event(at int64, token string) string { return fmt.Sprintf("data: %d %s\n\n", at, token) }
