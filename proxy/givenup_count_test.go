package proxy

import (
	"testing"
	"time"
)

func TestMoreMayBeAnsweredThanGivenUp(t *testing.T) {
	t.Parallel()
	const many = 10 * maxGivenUp
	for _, c := range []struct {
		what  string
		count func(g *givenUp, i int) bool
		ends  int // the round that is one too many; 0: none is
	}{
		{"answered", func(g *givenUp, _ int) bool { return g.count(false, 0) }, 0},
		{"given up at once", func(g *givenUp, _ int) bool { return g.count(true, 0) }, maxGivenUp + 1},
		{"given up after a while", func(g *givenUp, _ int) bool { return g.count(true, soonGivenUp) }, 0},
		{"the slower of two", func(g *givenUp, _ int) bool { return g.count(true, time.Millisecond) || g.count(false, 0) }, 0},
		{"two of three", func(g *givenUp, i int) bool { return g.count(i%3 > 0, time.Millisecond) }, 3*maxGivenUp - 1},
		{"all but one, after many answers", func(g *givenUp, i int) bool { return g.count(i > many/2, 0) }, many/2 + maxGivenUp + 1},
	} {
		var g givenUp
		ends := 0
		for i := 1; i <= many && ends == 0; i++ {
			if c.count(&g, i) {
				ends = i
			}
		}
		if ends != c.ends {
			t.Errorf("%s: the connection ends with number %d, want %d", c.what, ends, c.ends)
		}
	}
}
