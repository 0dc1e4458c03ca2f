package masking

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

const (
	maxGram   = 8  // bytes of a gram: what one load takes
	maxStride = 64 // bits of gram.offsets; longer strides gain nothing
	mix       = 0x9e3779b97f4a7c15
)

// class finds the patterns of similar length by looking only at every stride-th
// position of the input. With m the length of the shortest pattern and q that of
// a gram, stride is m-q+1, and the grams at the offsets 0 … stride-1 of each
// pattern are known: every occurrence covers exactly one sampled position with
// one of those grams. So the samples share out all starts among themselves, in
// order: sample t is answerable for the starts t-stride+1 … t.
type class struct {
	q, stride int
	keep      uint64 // the low q bytes of a load

	// filter answers most samples: two bits of one word per gram.
	filter    []uint64
	wordShift uint

	// slots is an open-addressed table of indices into grams, plus one.
	slots     []uint32
	slotShift uint
	grams     []gram
	wide      wide
}

// gram is a byte string of length q and where it stands in the patterns.
type gram struct {
	key     uint64
	offsets uint64 // bit i: at offset i of some pattern
	lo, hi  int32  // the patterns that begin with it
	chain   bool   // each of those is a prefix of the next
	uses    uint8  // how often it occurs, up to manyUses
	wide    bool   // see wide
}

// newClass indexes the patterns of set whose numbers are in members (ascending);
// shortest is the least of their lengths.
func newClass(set patterns, members []int32, shortest int) class {
	q, stride := sampling(shortest)
	c := class{q: q, stride: stride, keep: ^uint64(0) >> (64 - 8*q)}
	n := len(members) * stride
	c.grams = make([]gram, 0, n)
	c.slots = make([]uint32, 1<<bits.Len(uint(2*n)))
	c.slotShift = uint(64 - bits.Len(uint(2*n)))
	for _, at := range members {
		text := set[at].text
		for off := range stride {
			g := c.add(load(text[off:]) & c.keep)
			g.offsets |= 1 << off
			g.use(len(text) - off)
			if off == 0 {
				if g.hi == 0 {
					g.lo, g.chain = at, true
				}
				for g.hi = max(g.hi, g.lo+1); g.hi <= at; g.hi++ {
					g.chain = g.chain && set[g.hi].prefix == g.hi-1
				}
			}
		}
	}
	c.grams = slices.Clone(c.grams) // patterns share many, so that most of the room is left
	words := filterWords(len(c.grams))
	c.filter = make([]uint64, words)
	c.wordShift = uint(64 - bits.Len(uint(words-1)))
	for _, g := range c.grams {
		h := g.key * mix
		c.filter[h>>c.wordShift] |= filterBits(h)
	}
	c.wide = newWide(&c, set, members)
	return c
}

// sampling chooses the length of a gram and the stride for patterns of at least
// m bytes. Short patterns take shorter grams, which hit more often but keep the
// stride from falling to 1.
func sampling(m int) (q, stride int) {
	q = min(maxGram, max(m/4+1, min(4, (m+1)/2)))
	return q, min(m-q+1, maxStride)
}

// filterWords is the size of the filter for n grams, a power of two: 64 to 128
// bits a gram while that fits into 512 KiB, which the second-level cache holds,
// else at least 8.
func filterWords(n int) int {
	atMost := max(1<<16, 1<<bits.Len(uint(n/8)))
	return min(max(1<<bits.Len(uint(n)), 64), atMost)
}

// twoBits are the pairs of bits that stand for a gram in its word. Looking them
// up makes one test of two: a branch that is hardly ever taken.
var twoBits = func() (pairs [256]uint64) {
	for i := range pairs {
		pairs[i] = 1<<(i&63) | 1<<((i+11+i>>6*13)&63)
	}
	return pairs
}()

func filterBits(h uint64) uint64 { return twoBits[uint8(h>>36)] }

func (c *class) add(key uint64) *gram {
	i := key * mix >> c.slotShift
	for c.slots[i] != 0 {
		if g := &c.grams[c.slots[i]-1]; g.key == key {
			return g
		}
		i = (i + 1) & uint64(len(c.slots)-1)
	}
	c.grams = append(c.grams, gram{key: key})
	c.slots[i] = uint32(len(c.grams))
	return &c.grams[len(c.grams)-1]
}

func (c *class) lookup(key uint64) *gram {
	h := key * mix
	if f := filterBits(h); c.filter[h>>c.wordShift]&f != f {
		return nil
	}
	for i := h >> c.slotShift; c.slots[i] != 0; i = (i + 1) & uint64(len(c.slots)-1) {
		if g := &c.grams[c.slots[i]-1]; g.key == key {
			return g
		}
	}
	return nil
}

// seek returns the first of the positions t, t+stride, … below end at which a
// known gram stands, and the gram; nil when there is none.
func (c *class) seek(p []byte, t, end int) (int, *gram) {
	stride := uint(c.stride)
	at := uint(t)
	for last := uint(max(0, min(end, len(p)-7))); ; at += stride {
		if at = skim(p, c.filter, c.wordShift, c.keep, at, last, stride); at >= last {
			break
		}
		if g := c.lookup(binary.LittleEndian.Uint64(p[at:]) & c.keep); g != nil && c.wide.follows(g, p[at:]) {
			return int(at), g
		}
	}
	for last := uint(max(0, min(end, len(p)-c.q+1))); at < last; at += stride {
		if g := c.lookup(load(p[at:]) & c.keep); g != nil {
			return int(at), g
		}
	}
	return 0, nil
}

// skim returns the first of the positions at, at+stride, … below last that the
// filter lets through, or the first that is not below last. It is where the
// time goes: apart, so that all it works with stays in registers.
func skim(p []byte, filter []uint64, shift uint, keep uint64, at, last, stride uint) uint {
	for ; at < last; at += stride {
		h := (binary.LittleEndian.Uint64(p[at:at+8:at+8]) & keep) * mix
		if f := filterBits(h); filter[h>>(shift&63)]&f == f {
			break
		}
	}
	return at
}

// find returns the leftmost place in [from, limit) where a pattern of the class
// begins, and the index of the longest pattern there, or -1.
func (c *class) find(set patterns, p []byte, from, limit int) (start, at int) {
	var r reach
	for s := c.starts(from, limit); s.next(p); {
		lo, hi := int(s.head.lo), int(s.head.hi)
		if s.head.chain {
			at = set.within(hi-1, r.common(set, hi-1, p, s.start))
		} else {
			at = set.longest(p[s.start:], lo, hi)
		}
		if at >= 0 {
			return s.start, at
		}
	}
	return 0, -1
}

// begins returns the leftmost place in [from, limit) from which p, to its end,
// is the beginning of a longer pattern, or limit. Places so near the end that no
// sample covers them are passed over: those with fewer than q+stride-1 bytes.
func (c *class) begins(set patterns, p []byte, from, limit int) int {
	var r reach
	for s := c.starts(from, limit); s.next(p); {
		lo, hi := int(s.head.lo), int(s.head.hi)
		if s.head.chain {
			n := r.common(set, hi-1, p, s.start)
			if s.start+n == len(p) && n < len(set[hi-1].text) {
				return s.start
			}
		} else if set.continues(p[s.start:], lo, hi) {
			return s.start
		}
	}
	return limit
}

// starts iterates over the places in [from, limit), ascending, where patterns may
// begin: where their first gram is, and a sample gave reason to look.
type starts struct {
	c      *class
	limit  int
	sample int
	places uint64 // of the last sample, those to be looked at: bits as in gram.offsets

	start int
	head  *gram // that of the patterns
}

func (c *class) starts(from, limit int) starts {
	return starts{c: c, limit: limit, sample: from - 1}
}

// next goes to the next place. It takes p, always the same, as an argument so
// that it can be seen not to escape: then a string is scanned without a copy.
func (s *starts) next(p []byte) bool {
	for {
		var g *gram
		if s.places == 0 {
			s.sample, g = s.c.seek(p, s.sample+s.c.stride, s.limit+s.c.stride-1)
			if g == nil {
				return false
			}
			s.places = g.offsets
		}
		off := bits.Len64(s.places) - 1
		s.places &^= 1 << off
		if s.start = s.sample - off; s.start >= s.limit {
			return false
		}
		if s.head = s.c.lookup(load(p[s.start:]) & s.c.keep); s.head != nil && s.head.hi > 0 && s.c.wide.follows(s.head, p[s.start:]) {
			return true
		}
	}
}

// load reads the first 8 bytes of p, with zeros for what is missing.
func load(p []byte) uint64 {
	if len(p) >= 8 {
		return binary.LittleEndian.Uint64(p)
	}
	var v uint64
	for i, b := range p {
		v |= uint64(b) << (8 * i)
	}
	return v
}
