package proxy

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"kz/masking"
	"kz/proxy/policy"
	"kz/resolver"
)

// values holds what the scrubber looks for: every value of the session, current and past.
type values struct {
	mu       sync.Mutex
	known    []masking.Value           // only ever appended to
	scrubber atomic.Pointer[scrubbers] // nil: not needed yet; written under mu
	making   sync.Mutex                // held while scrubbers are made
}

// scrubbers find the values of a session in an answer.
type scrubbers struct {
	*masking.Scrubber
	names *masking.Finder // see nameForms
	of    int             // how many of the known values they find
}

// inName reports whether a header's name holds a value, be it percent-encoded.
func (s *scrubbers) inName(name string) bool {
	if len(name) < masking.MinScrub {
		return false
	}
	if s.foldedIn(name) {
		return true
	}
	if strings.IndexByte(name, '%') < 0 {
		return false
	}
	once := unescapePercent(name)
	return s.foldedIn(once) || s.foldedIn(unescapePercent(once))
}

func (s *scrubbers) foldedIn(name string) bool {
	var short [64]byte
	b := short[:0]
	for i := 0; i < len(name); i++ {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		b = append(b, c)
	}
	_, _, _, found := s.names.Next(b, 0)
	return found
}

// LearnError says why a secret's value cannot be used by this proxy. It never holds the value.
type LearnError struct {
	Secret, Reason, Advice string
}

func (e *LearnError) Error() string { return fmt.Sprintf("%s: %s", e.Secret, e.Reason) }

// Hint says what to do.
func (e *LearnError) Hint() string { return e.Advice }

// maxValue is the longest value that is looked for: what AWS Secrets Manager and Google Secret Manager hold (64 KiB). All
// forms of all values are prepared anew with each value that comes, for which the requests wait: a megabyte takes seconds, and
// hundreds of megabytes of memory.
const maxValue = 64 << 10

// Learn takes note of a value of a secret, so that it is scrubbed from every answer from now on. It is called for each
// new value before the value can be used. It fails for a value too short or too long to be looked for.
func (p *Proxy) Learn(name string, s resolver.Secret) error {
	raw := []byte(s.Reveal())
	if !masking.Scrubbable(bytes.TrimRight(raw, "\r\n")) {
		return &LearnError{name, fmt.Sprintf("the value is shorter than %d bytes, too short to be found in an answer", masking.MinScrub),
			fmt.Sprintf("use a longer value, or write under [secrets.%s]: scrub = false", name)}
	}
	if len(raw) > maxValue {
		return &LearnError{name, "the value is longer than 64 KiB, too long to be looked for in every answer",
			fmt.Sprintf("name one `field` of it, or write under [secrets.%s]: scrub = false", name)}
	}
	if bytes.Contains(raw, []byte(masking.Prefix)) {
		// An inserted value is never looked at again only if nothing in it looks like a mask.
		return &LearnError{name, "the value holds what looks like a mask", "a mask was saved in place of the value: store the value itself, as in `kz put " + name + "`"}
	}
	p.values.mu.Lock()
	for _, v := range p.values.known {
		if v.Name == name && bytes.Equal(v.Bytes, raw) {
			p.values.mu.Unlock()
			return nil
		}
	}
	p.values.known = append(p.values.known, masking.Value{Name: name, Mask: p.opts.Table.Token(name), Bytes: raw})
	all, used := len(p.values.known), p.values.scrubber.Load() != nil
	p.values.mu.Unlock()
	if used {
		p.makeScrubbers(all)
	}
	return nil
}

// scrubbers find every value that has been learned. They are made when they are first needed; from then on it is Learn that
// has them made anew, so that no answer waits for that.
func (p *Proxy) scrubbers() *scrubbers {
	if s := p.values.scrubber.Load(); s != nil {
		return s
	}
	p.makeScrubbers(0)
	return p.values.scrubber.Load()
}

// makeScrubbers makes scrubbers that find at least the first n known values, unless there are such. Those who come while some
// are made share the next ones.
func (p *Proxy) makeScrubbers(n int) {
	p.values.making.Lock()
	defer p.values.making.Unlock()
	for {
		p.values.mu.Lock()
		s, known := p.values.scrubber.Load(), p.values.known
		p.values.mu.Unlock()
		if s != nil && s.of >= n {
			return
		}
		made := scrubbersOf(known)
		p.values.mu.Lock()
		// While there are none, Learn relies on the first ones to find its value.
		if s != nil || len(p.values.known) == len(known) {
			p.values.scrubber.Store(made)
		}
		p.values.mu.Unlock()
	}
}

func scrubbersOf(known []masking.Value) *scrubbers {
	var folded [][]byte
	for _, v := range known {
		folded = append(folded, nameForms(bytes.TrimRight(v.Bytes, "\r\n"))...)
	}
	all, err := masking.NewScrubber(known)
	if err != nil {
		// Learn takes only what NewScrubber takes.
		panic("proxy: making the scrubber: " + err.Error())
	}
	return &scrubbers{all, masking.NewFinder(folded), len(known)}
}

// nameForms are what is looked for in the names of headers, lower-cased as net/http and h2 make them: the value, in hex, and
// in base64, of which the case of the letters is lost, but not much else. Percent escapes are undone before.
func nameForms(value []byte) [][]byte {
	forms := [][]byte{lowerASCII(value), hex.AppendEncode(nil, value)}
	if bytes.IndexByte(value, ' ') >= 0 {
		forms = append(forms, bytes.ReplaceAll(forms[0], []byte(" "), []byte("+"))) // as forms encode it
	}
	for before := range 3 {
		text := append(make([]byte, before), value...)
		for _, alphabet := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			// Without the digits that a neighbour has a part in.
			digits := alphabet.AppendEncode(nil, text)[(before*8+5)/6 : len(text)*8/6]
			forms = append(forms, lowerASCII(digits))
		}
	}
	return forms
}

// lowerASCII leaves the length as it is, which bytes.ToLower may not.
func lowerASCII(b []byte) []byte {
	b = bytes.Clone(b)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return b
}

// Holds reports whether b holds a value of the session in any of the forms that are scrubbed, and of which secret.
func (p *Proxy) Holds(b []byte) (name string, ok bool) { return p.scrubbers().Find(b) }

// value fetches the value of a secret that policy lets pass. None is given out that could not be recorded, into what was
// begun before either.
func (p *Proxy) value(ctx context.Context, name string, a policy.Authority) (string, *refusal) {
	if ref := p.auditable(a); ref != nil {
		return "", ref
	}
	if ref := p.stillBound(ctx, name, a); ref != nil {
		return "", ref
	}
	s, err := p.opts.Values(ctx, name)
	if err != nil {
		p.log.Warn("resolving_secret", "secret", name, "error", err)
		return "", &refusal{Code: codeSecretUnavailable, Secret: name, Host: a.String(),
			Message: "the value of " + name + " could not be had from its store", Hint: "run `kz status` outside this session to see why"}
	}
	return s.Reveal(), nil
}
