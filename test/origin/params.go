package origin

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// params are a request's query parameters, read with defaults. The first that
// does not parse is kept as the error.
type params struct {
	url.Values
	err error
}

func query(r *http.Request) *params { return &params{Values: r.URL.Query()} }

func (p *params) number(name string, otherwise int64) int64 {
	s := p.Get(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		p.err = fmt.Errorf("parameter %s: not a count", name)
		return otherwise
	}
	return n
}

func (p *params) milliseconds(name string, otherwise int64) time.Duration {
	return time.Duration(p.number(name, otherwise)) * time.Millisecond
}

func (p *params) is(name string) bool { return p.Has(name) && p.Get(name) != "0" }

// bad answers 400 when a parameter was bad.
func (p *params) bad(w http.ResponseWriter) bool {
	if p.err != nil {
		http.Error(w, p.err.Error(), http.StatusBadRequest)
	}
	return p.err != nil
}

// inserted is the byte string that a request asks to find in its answer: a
// stored one (value=NAME), or what the request itself carried (from=HEADER,
// without its scheme). It is what a scrubber has to find, so form= encodes it;
// see [Encode].
func (o *Origin) inserted(r *http.Request) ([]byte, error) {
	p := r.URL.Query()
	var v []byte
	switch {
	case p.Has("value"):
		o.settings.mu.Lock()
		stored, ok := o.settings.values[p.Get("value")]
		o.settings.mu.Unlock()
		if !ok {
			return nil, fmt.Errorf("no value %q is stored", p.Get("value"))
		}
		v = stored
	case p.Has("from"):
		h := r.Header.Get(p.Get("from"))
		if scheme, rest, ok := strings.Cut(h, " "); ok && !strings.ContainsAny(scheme, "=,;") {
			h = rest
		}
		v = []byte(h)
	default:
		return nil, nil
	}
	if !p.Has("form") {
		return v, nil
	}
	return Encode(p.Get("form"), v)
}

// inserts wraps a handler that needs the inserted bytes.
func (o *Origin) inserts(f func(w http.ResponseWriter, r *http.Request, v []byte)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := o.inserted(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		f(w, r, v)
	}
}
