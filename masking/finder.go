package masking

import (
	"encoding/binary"
	"math/bits"
)

// Finder finds many byte strings at once. It never changes and is safe for
// concurrent use; finding allocates nothing.
//
// It looks at a few positions of the input only (see class), which makes it
// faster the longer its shortest pattern is. The time is linear in the input,
// whatever that is, with one exception: a long pattern that repeats one short
// piece, together with a short pattern that it begins with, in an input full of
// that piece. No key is like that.
type Finder struct {
	hidden
	ix sealed[index]
}

type index struct {
	set     patterns
	classes []class
	longest int // bytes
	tail    int // at the end of the input, places that begins passes over
	heads   heads
	breaks  [256]bool // bytes that end a word
	within  [256]bool // text, and bytes of patterns, but for white space
}

// NewFinder returns a finder of the patterns, which it copies. A pattern is
// identified by its index; of equal ones the lowest counts. Empty ones are never
// found.
func NewFinder(texts [][]byte) *Finder {
	return newFinder(newIndex(texts, func(lengths []int) []int { return divide(lengths, 3) }))
}

func newFinder(ix *index) *Finder { return &Finder{ix: seal(ix)} }

// newIndex indexes the texts; divide says how many go together, by length.
func newIndex(texts [][]byte, divide func(lengths []int) []int) *index {
	ix := &index{set: newPatterns(texts)}
	ix.classes = newClasses(ix.set, divide)
	ix.heads = newHeads(ix.set)
	for i := 0; i < len(brackets); i++ {
		ix.breaks[brackets[i]] = true
	}
	for _, p := range ix.set {
		ix.longest = max(ix.longest, len(p.text))
		for _, c := range p.text {
			ix.breaks[c], ix.within[c] = false, true
		}
	}
	for c := '!'; c <= '~'; c++ {
		ix.within[c] = true
	}
	for i := 0; i < len(spaces); i++ {
		ix.breaks[spaces[i]], ix.within[spaces[i]] = true, false
	}
	for _, c := range ix.classes {
		ix.tail = max(ix.tail, c.q+c.stride-2)
	}
	return ix
}

// Next finds the leftmost pattern in p[from:], of several that begin there the
// longest, and returns where it stands in p and which it is.
func (f *Finder) Next(p []byte, from int) (start, end, id int, ok bool) {
	ix, at := f.ix.open(), -1
	if len(ix.classes) == 0 {
		return 0, 0, 0, false
	}
	// The classes take turns in windows that double: so no class looks much
	// further than to where another one has a match.
	for size := firstWindow; from < len(p) && at < 0; from, size = from+size, min(2*size, lastWindow) {
		limit := min(from+size, len(p))
		if size == lastWindow && len(p)-from > cold && warm(p[from:limit]) < 0 {
			break // never
		}
		for i := range ix.classes {
			s, a := ix.classes[i].find(ix.set, p, from, limit)
			if a >= 0 && (at < 0 || s < start || len(ix.set[a].text) > len(ix.set[at].text)) {
				start, at, limit = s, a, s+1
			}
		}
	}
	if at < 0 {
		return 0, 0, 0, false
	}
	found := &ix.set[at]
	return start, start + len(found.text), int(found.id), true
}

const (
	firstWindow = 256
	lastWindow  = 16 << 10
	cold        = 64 << 10 // an input longer than this is hardly in the nearest cache
)

// warm reads one byte of each cache line and returns their sum. Nothing waits
// for those loads, so that they overlap, which the samples would do less: at
// short strides this makes up to twice the speed on an input that is not in the
// nearest cache.
func warm(p []byte) (sum int) {
	for i := 0; i < len(p); i += 64 {
		sum += int(p[i])
	}
	return sum
}

// Hold returns the length of the longest suffix of p that is the beginning of a
// longer pattern, 0 when there is none: what must be kept until more is known.
func (f *Finder) Hold(p []byte) int {
	ix := f.ix.open()
	from := max(0, len(p)-ix.longest+1)
	hold := len(p)
	for i := range ix.classes {
		hold = ix.classes[i].begins(ix.set, p, from, hold)
	}
	for i := max(from, len(p)-ix.tail); i < hold; i++ {
		if ix.heads.has(p[i:]) && ix.set.continues(p[i:], 0, len(ix.set)) {
			return len(p) - i
		}
	}
	return len(p) - hold
}

// heads is a filter of the first 4 bytes of all patterns of at least that many.
type heads struct {
	bits  []uint64
	shift uint
}

func newHeads(set patterns) heads {
	words := max(1<<bits.Len(uint(len(set)/4)), 8)
	h := heads{bits: make([]uint64, words), shift: uint(64 - bits.Len(uint(words-1)))}
	for _, p := range set {
		if len(p.text) >= 4 {
			v := h.hash(p.text)
			h.bits[v>>h.shift] |= 1 << (v >> 32 & 63)
		}
	}
	return h
}

func (h *heads) has(p []byte) bool {
	if len(p) < 4 {
		return true
	}
	v := h.hash(p)
	return h.bits[v>>h.shift]&(1<<(v>>32&63)) != 0
}

func (h *heads) hash(p []byte) uint64 {
	return uint64(binary.LittleEndian.Uint32(p)) * mix
}

// Words end with white space, and with brackets, quotes and the like as long as
// no pattern has such a byte in it.
const (
	spaces   = " \t\r\n"
	brackets = "\"'(),<>[]`{|}"
)

// HoldWord returns the length of the last word of p, or of as much of it as a
// pattern can begin in, or what [Finder.Hold] returns, if that is more. Only
// where a pattern has white space in it does that tell where one may begin.
func (f *Finder) HoldWord(p []byte) int {
	ix := f.ix.open()
	n := 0
	for last := min(len(p), ix.longest-1); n < last && !ix.breaks[p[len(p)-1-n]]; n++ {
	}
	return max(n, f.Hold(p))
}

// HoldRun returns the length of the longest suffix of p that is all text, or such
// bytes as patterns have, and no white space, or of as much of it as a pattern can
// begin in, or what [Finder.Hold] returns, if that is more; 0 where it is less than
// least. It tells as much as [Finder.HoldWord] of where a pattern may begin.
func (f *Finder) HoldRun(p []byte, least int) int {
	ix := f.ix.open()
	n := 0
	for last := min(len(p), ix.longest-1); n < last && ix.within[p[len(p)-1-n]]; n++ {
	}
	if n = max(n, f.Hold(p)); n < least {
		return 0
	}
	return n
}
