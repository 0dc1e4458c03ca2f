package masking

import (
	"cmp"
	"slices"
)

// newClasses makes one class of each run of lengths, ascending, that divide
// returns the size of.
func newClasses(set patterns, divide func(lengths []int) []int) []class {
	if len(set) == 0 {
		return nil
	}
	order := make([]int32, len(set))
	for i := range order {
		order[i] = int32(i)
	}
	byLength := func(a, b int32) int { return cmp.Compare(len(set[a].text), len(set[b].text)) }
	slices.SortStableFunc(order, byLength)
	lengths := make([]int, len(order))
	for i, at := range order {
		lengths[i] = len(set[at].text)
	}
	var classes []class
	for _, size := range divide(lengths) {
		members := order[:size]
		order = order[size:]
		shortest := len(set[members[0]].text)
		slices.Sort(members)
		classes = append(classes, newClass(set, members, shortest))
	}
	return classes
}

// worthwhile is the share of the time that one class is expected to take, below
// which two are made of it.
const worthwhile = 0.9

// divide cuts ascending lengths into at most parts runs and returns their sizes:
// so that a few short patterns do not make all be looked for at a short stride,
// where that is expected to pay.
func divide(lengths []int, parts int) []int {
	whole, cut := cost(lengths), len(lengths)
	least := whole * worthwhile
	for i := 1; i < len(lengths) && parts > 1; i++ {
		if lengths[i] == lengths[i-1] {
			continue
		}
		if c := cost(lengths[:i]) + cost(lengths[i:]); c < least {
			least, cut = c, i
		}
	}
	if cut == len(lengths) {
		return []int{cut}
	}
	return append([]int{cut}, divide(lengths[cut:], parts-1)...)
}

// cost estimates the time per input byte, in units of a sample that finds the
// filter in the first-level cache: the stride says how many samples there are,
// the filter's size what each of them takes.
func cost(lengths []int) float64 {
	_, stride := sampling(lengths[0])
	perSample := 1.0
	switch words := filterWords(len(lengths) * stride); {
	case words > 1<<14: // 128 KiB
		perSample = 1.6
	case words > 1<<12: // 32 KiB
		perSample = 1.2
	}
	return perSample / float64(stride)
}
