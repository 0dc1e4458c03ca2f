package stat

import (
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"
)

// Table is lines of cells under a heading. The first column is flush left, the others flush right.
type Table struct {
	Heading []string
	Lines   [][]string
}

// Add adds a line.
func (t *Table) Add(cells ...string) { t.Lines = append(t.Lines, cells) }

// WriteTo writes the table, with two spaces between its columns.
func (t *Table) WriteTo(w io.Writer) (int64, error) {
	var widths []int
	all := append([][]string{t.Heading}, t.Lines...)
	for _, line := range all {
		for i, cell := range line {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, line := range all {
		var text strings.Builder
		for i, cell := range line {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				text.WriteString(cell + pad)
			} else {
				text.WriteString("  " + pad + cell)
			}
		}
		b.WriteString(strings.TrimRight(text.String(), " ") + "\n")
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// Figure writes a number with three digits or, from a hundred on, as a whole; "–" for none.
func Figure(v float64) string {
	switch abs := math.Abs(v); {
	case math.IsNaN(v):
		return "–"
	case math.IsInf(v, 0):
		return "∞"
	case abs >= 99.95 || abs == 0:
		return fmt.Sprintf("%.0f", v)
	case abs >= 9.995:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}
