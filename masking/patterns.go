package masking

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
)

// pattern is one byte string to find.
type pattern struct {
	text   []byte
	id     int32 // the caller's number for it
	prefix int32 // index of the longest other pattern that text begins with, or -1
	// z, kept for a text whose beginning recurs in it at length, says of each
	// place how many bytes from there are equal to those from its start.
	z []int32
}

// patterns is sorted by text, without duplicates and without the empty text.
type patterns []pattern

func newPatterns(texts [][]byte) patterns {
	size := 0
	for _, t := range texts {
		size += len(t)
	}
	own := make([]byte, 0, size)
	set := make(patterns, 0, len(texts))
	for id, t := range texts {
		if len(t) == 0 {
			continue
		}
		own = append(own, t...)
		set = append(set, pattern{text: own[len(own)-len(t) : len(own) : len(own)], id: int32(id)})
	}
	slices.SortFunc(set, func(a, b pattern) int { return cmp.Or(bytes.Compare(a.text, b.text), cmp.Compare(a.id, b.id)) })
	set = slices.CompactFunc(set, func(a, b pattern) bool { return bytes.Equal(a.text, b.text) })
	var z []int32
	for i := range set {
		up := int32(i) - 1
		for up >= 0 && !bytes.HasPrefix(set[i].text, set[up].text) {
			up = set[up].prefix
		}
		set[i].prefix = up
		z = recurrence(set[i].text, z)
		if len(z) > 0 && slices.Max(z) > shortRecurrence {
			set[i].z = slices.Clone(z)
		}
	}
	return set
}

// shortRecurrence is how many bytes may be compared again and again.
const shortRecurrence = 64

// recurrence returns the Z array of text (see pattern.z), in the room of z, or an
// empty one if nothing long can recur in it. Nothing does but in made-up secrets.
func recurrence(text []byte, z []int32) []int32 {
	if len(text) <= shortRecurrence {
		return z[:0]
	}
	z = append(z[:0], make([]int32, len(text))...)
	for i, start, end := 1, 0, 0; i < len(text); i++ {
		n := 0
		if i < end {
			n = min(int(z[i-start]), end-i)
		}
		if i+n >= end {
			n += common(text[n:], text[i+n:])
			start, end = i, i+n
		}
		z[i] = int32(n)
	}
	return z
}

// reach remembers how far a pattern was followed in the input: so bytes that
// were equal to it need not be compared again from a later start, and the time
// stays linear where a pattern overlaps itself.
type reach struct {
	at, start, end int // p[start:end] begins the pattern; p[end] does not go on
}

// common returns how many bytes of p[start:] are equal to the beginning of the
// pattern with index at.
func (r *reach) common(set patterns, at int, p []byte, start int) int {
	text, z := set[at].text, set[at].z
	if z == nil {
		return common(text, p[start:])
	}
	n := 0
	if r.at == at && r.start < start && start < r.end {
		n = int(z[start-r.start])
		if n < r.end-start {
			return n
		}
		n = r.end - start
	}
	n += common(text[n:], p[start+n:])
	*r = reach{at, start, start + n}
	return n
}

// longest returns the index of the longest pattern that x begins with, of those
// in [lo, hi) and the patterns they begin with, or -1. The patterns in [lo, hi)
// must be neighbours that share their first bytes with x.
func (s patterns) longest(x []byte, lo, hi int) int {
	at := lo
	if hi-lo > 1 {
		// Every pattern that x begins with is a prefix of the greatest one
		// that is not greater than x.
		if at = s.after(x, lo, hi) - 1; at < lo {
			return -1
		}
	}
	return s.within(at, common(s[at].text, x))
}

// within returns the longest pattern of at most n bytes that is pattern at or
// a prefix of it, or -1.
func (s patterns) within(at, n int) int {
	for at >= 0 && len(s[at].text) > n {
		at = int(s[at].prefix)
	}
	return at
}

// continues says whether x is the beginning of a pattern in [lo, hi) that is
// longer than x.
func (s patterns) continues(x []byte, lo, hi int) bool {
	i := s.after(x, lo, hi)
	return i < hi && bytes.HasPrefix(s[i].text, x)
}

// after returns the first index in [lo, hi) whose text is greater than x.
func (s patterns) after(x []byte, lo, hi int) int {
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		// Not bytes.Compare, which the compiler does not know to leave x alone:
		// a string could not be scanned without a copy then.
		text := s[mid].text
		n := common(text, x)
		if n == len(text) || n < len(x) && text[n] < x[n] {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// common returns the length of the longest common prefix of a and b.
func common(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for ; i+8 <= n; i += 8 {
		if d := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); d != 0 {
			return i + bits.TrailingZeros64(d)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}
