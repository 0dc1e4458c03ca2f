package stat

import (
	"math"
	"strings"
	"testing"
	"time"
)

var none = math.NaN()

func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		values []float64
		want   float64
	}{
		{"of none is none", nil, none},
		{"of one is that one", []float64{3}, 3},
		{"of an odd number is the one in the middle", []float64{9, 1, 2}, 2},
		{"of an even number is the mean of two", []float64{9, 1, 2, 4}, 3},
		{"leaves out what is none", []float64{none, 5, none, 7, 6}, 6},
		{"of nothing but none is none", []float64{none}, none},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Median(c.values); !same(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
	t.Run("leaves the order of its argument alone", func(t *testing.T) {
		v := []float64{3, 1, 2}
		Median(v)
		if v[0] != 3 || v[1] != 1 || v[2] != 2 {
			t.Error(v)
		}
	})
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	hundred := func() (v []time.Duration) {
		for i := range 100 {
			v = append(v, time.Duration(100-i))
		}
		return v
	}
	for _, c := range []struct {
		name   string
		values []time.Duration
		p      float64
		want   float64
	}{
		{"of none is none", nil, 50, none},
		{"of one is that one", []time.Duration{7}, 99, 7},
		{"50 of a hundred is the fiftieth", hundred(), 50, 50},
		{"99 of a hundred is the last but one", hundred(), 99, 99},
		{"100 is the largest", hundred(), 100, 100},
		{"0 is the smallest", hundred(), 0, 1},
		{"50 of three is the second", []time.Duration{30, 10, 20}, 50, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Percentile(c.values, c.p); !same(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestPairs(t *testing.T) {
	t.Parallel()
	slow, fast := []float64{10, 100, 30}, []float64{20, 400, 90}
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"a ratio is the median of those within rounds", Ratio(slow, fast), 1. / 3},
		{"a difference is the median of those within rounds", Difference(fast, slow), 60},
		{"a round that one lacks is left out", Ratio([]float64{10, none, 30}, []float64{20, 1, 60}), 0.5},
		{"a round with 0 below is left out", Ratio([]float64{10, 5}, []float64{0, 10}), 0.5},
		{"without rounds in common there is none", Ratio(nil, fast), none},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !same(c.got, c.want) {
				t.Errorf("%v, want %v", c.got, c.want)
			}
		})
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	table := Table{Heading: []string{"", "direct", "kz"}}
	table.Add("p50 µs", "1.00", "12345678")
	table.Add("a longer name", "–")
	var b strings.Builder
	n, err := table.WriteTo(&b)
	want := "               direct        kz\n" +
		"p50 µs           1.00  12345678\n" +
		"a longer name       –\n"
	if b.String() != want || err != nil || int(n) != len(want) {
		t.Errorf("%d %v\n%s\nwant\n%s", n, err, b.String(), want)
	}
}

func TestFigure(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]float64{
		"–": none, "∞": math.Inf(1), "0": 0, "0.05": 0.0512, "1.00": 1, "9.99": 9.994, "10.0": 9.996, "42.0": 42,
		"100": 99.96, "12346": 12345.6, "-0.50": -0.5, "-250": -250.2,
	} {
		if got := Figure(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
}
