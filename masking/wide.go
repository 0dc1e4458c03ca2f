package masking

import (
	"encoding/binary"
	"math/bits"
)

const (
	wideGram = 24 // bytes
	manyUses = 2
)

// wide is a filter of the 24 bytes that begin with a gram, for each place of a
// gram that has many. A text escaped from end to end is full of those, "\u0061"
// say, and at hardly one of them there is more of a pattern.
type wide struct {
	bits  []uint64
	shift uint
}

// use counts a place of the gram in a pattern, with so many bytes to its end.
func (g *gram) use(room int) {
	g.wide = room >= wideGram && (g.wide || g.uses == 0)
	g.uses = min(g.uses+1, manyUses)
}

// newWide decides which grams of c are wide: those with many places, and enough
// bytes behind each.
func newWide(c *class, set patterns, members []int32) (w wide) {
	for i := range c.grams {
		g := &c.grams[i]
		g.wide = g.wide && g.uses == manyUses
	}
	var hashes []uint64
	for _, at := range members {
		for off := range c.stride {
			text := set[at].text[off:]
			if g := c.lookup(load(text) & c.keep); g.wide {
				hashes = append(hashes, wideHash(text))
			}
		}
	}
	words := max(1<<bits.Len(uint(len(hashes)/4)), 8)
	w = wide{bits: make([]uint64, words), shift: uint(64 - bits.Len(uint(words-1)))}
	for _, h := range hashes {
		w.bits[h>>w.shift] |= filterBits(h)
	}
	return w
}

// follows says whether a place of g in a pattern may be where x, of which g is
// the beginning, stands.
func (w *wide) follows(g *gram, x []byte) bool {
	if !g.wide || len(x) < wideGram {
		return true
	}
	h := wideHash(x)
	f := filterBits(h)
	return w.bits[h>>w.shift]&f == f
}

func wideHash(x []byte) uint64 {
	_ = x[wideGram-1]
	h := binary.LittleEndian.Uint64(x) * mix
	h = (bits.RotateLeft64(h, 32) ^ binary.LittleEndian.Uint64(x[8:])) * mix
	return (bits.RotateLeft64(h, 32) ^ binary.LittleEndian.Uint64(x[16:])) * mix
}
