// Package stat computes and lays out what the benchmarks print.
package stat

import (
	"math"
	"slices"
)

// Median is the middle value, of an even number the mean of the two in the middle. NaN of none.
func Median(values []float64) float64 {
	s := slices.Clone(values)
	s = slices.DeleteFunc(s, math.IsNaN)
	slices.Sort(s)
	switch n := len(s); {
	case n == 0:
		return math.NaN()
	case n%2 == 1:
		return s[n/2]
	default:
		return (s[n/2-1] + s[n/2]) / 2
	}
}

// Percentile is the smallest value that at least p percent of all are not above (the nearest-rank method). NaN of none.
// It sorts the values.
func Percentile[T ~int64 | ~float64](values []T, p float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	rank := int(math.Ceil(p / 100 * float64(len(values))))
	return float64(values[min(max(rank, 1), len(values))-1])
}

// Pairwise is f of the values that stand at the same place of both, which are those of the same round. A value that one
// of them lacks is NaN and gives none.
func Pairwise(a, b []float64, f func(a, b float64) float64) []float64 {
	var out []float64
	for i := range min(len(a), len(b)) {
		if v := f(a[i], b[i]); !math.IsNaN(v) && !math.IsInf(v, 0) {
			out = append(out, v)
		}
	}
	return out
}

// Ratio is the median of a to b, round by round: what a machine does to a whole round cancels out.
func Ratio(a, b []float64) float64 {
	return Median(Pairwise(a, b, func(a, b float64) float64 { return a / b }))
}

// Difference is the median of a less b, round by round.
func Difference(a, b []float64) float64 {
	return Median(Pairwise(a, b, func(a, b float64) float64 { return a - b }))
}
