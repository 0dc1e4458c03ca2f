package audit

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
)

// lineBegin is how every line begins.
const lineBegin = `{"time":"`

// appendEvent appends e as JSON, without the closing brace: what encoding/json makes of it without HTML escapes, byte for
// byte. It is written out because every request waits for its line, and reflection was most of that wait.
func appendEvent(b []byte, e *Event) []byte {
	b = append(b, lineBegin...)
	b = e.Time.AppendFormat(b, time.RFC3339Nano)
	b = append(b, '"')
	b = appendText(b, "session", e.Session)
	b = appendText(b, "request", e.Request)
	b = appendText(b, "kind", string(e.Kind))
	b = appendSome(b, "method", e.Method)
	b = appendText(b, "host", e.Host)
	b = appendInt(b, "port", int64(e.Port))
	b = appendSome(b, "path", e.Path)
	if e.Status != 0 {
		b = appendInt(b, "status", int64(e.Status))
	}
	b = appendInt(b, "bytes_out", e.BytesOut)
	b = appendInt(b, "bytes_in", e.BytesIn)
	b = append(b, `,"duration_ms":`...)
	b = strconv.AppendFloat(b, e.DurationMS, 'f', -1, 64)
	b = appendList(b, "swapped", e.Swapped, func(b []byte, s *Swapped) []byte {
		b = appendText(b, "secret", s.Secret)
		return appendText(b, "place", s.Place)
	})
	b = appendList(b, "withheld", e.Withheld, func(b []byte, w *Withheld) []byte {
		b = appendText(b, "secret", w.Secret)
		b = appendText(b, "place", w.Place)
		return appendText(b, "reason", w.Reason)
	})
	b = appendList(b, "scrubbed", e.Scrubbed, func(b []byte, s *Scrubbed) []byte {
		b = appendText(b, "secret", s.Secret)
		b = appendText(b, "where", s.Where)
		return appendInt(b, "count", int64(s.Count))
	})
	b = appendSome(b, "code", e.Code)
	return appendSome(b, "reason", e.Reason)
}

// appendList appends an array of objects, nothing when it is empty. What one appends for a member begins with a comma.
func appendList[T any](b []byte, name string, list []T, one func([]byte, *T) []byte) []byte {
	if len(list) == 0 {
		return b
	}
	b = append(appendName(b, name), '[')
	for i := range list {
		if i > 0 {
			b = append(b, ',')
		}
		at := len(b)
		b = one(b, &list[i])
		b[at] = '{' // for the first comma
		b = append(b, '}')
	}
	return append(b, ']')
}

func appendName(b []byte, name string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	return append(b, '"', ':')
}

func appendInt(b []byte, name string, n int64) []byte {
	return strconv.AppendInt(appendName(b, name), n, 10)
}

func appendSome(b []byte, name, s string) []byte {
	if s == "" {
		return b
	}
	return appendText(b, name, s)
}

func appendText(b []byte, name, s string) []byte {
	b = appendName(b, name)
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return appendQuoted(b, s)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// appendQuoted leaves what needs an escape to encoding/json.
func appendQuoted(b []byte, s string) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // strings always encode; a Buffer never fails
	return append(b, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}
