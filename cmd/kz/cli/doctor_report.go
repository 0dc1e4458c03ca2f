package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
)

// weight is how much a finding matters.
type weight string

const (
	weighsError   weight = "error"   // kz run --blind does not work here, or not as it is meant to
	weighsWarning weight = "warning" // some programs will not work, or can read a credential
	weighsNote    weight = "note"    // good to know
)

var weights = []weight{weighsError, weighsWarning, weighsNote}

// finding is one thing that is not as it might be. None of its texts holds a value.
type finding struct {
	ID     string `json:"id"` // stable: the kind of finding
	Weight weight `json:"weight"`
	Title  string `json:"title"`
	Why    string `json:"why"`
	Fix    string `json:"fix"`
}

// diagnosis is all that the doctor says. Its JSON form is a contract: members are added, and none is taken away or means
// something else while Form is the same.
type diagnosis struct {
	Form     int             `json:"form"`
	OK       bool            `json:"ok"` // no finding is an error
	KZ       string          `json:"kz"`
	Platform string          `json:"platform"`
	Swap     bool            `json:"swap"` // a value went where it may, and its program held a mask
	Runtimes []runtimeReport `json:"runtimes"`
	Command  *commandReport  `json:"command,omitempty"`
	Findings []finding       `json:"findings"`

	mu     sync.Mutex
	redact func(string) string // takes out what no line may hold, as a last resort
}

// find adds findings. Safe for concurrent use.
func (d *diagnosis) find(found ...finding) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Findings = append(d.Findings, found...)
}

// sort puts the findings in order of weight, and says whether all is well.
func (d *diagnosis) sort() {
	d.OK = true
	if d.Findings == nil {
		d.Findings = []finding{}
	}
	for i := range d.Findings {
		f := &d.Findings[i]
		for _, text := range []*string{&f.Title, &f.Why, &f.Fix} {
			*text = printable(d.redact(*text))
		}
		d.OK = d.OK && f.Weight != weighsError
	}
	slices.SortStableFunc(d.Findings, func(a, b finding) int {
		return cmp.Or(cmp.Compare(slices.Index(weights, a.Weight), slices.Index(weights, b.Weight)), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Title, b.Title))
	})
}

// reportWidth is how wide the report is, on every terminal and in a pipe.
const reportWidth = 80

// print is the report for people: what works, what was found, and a verdict.
func (d *diagnosis) print(w io.Writer, colour bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "kz %s on %s\n", d.KZ, d.Platform)
	if d.Swap {
		b.WriteString("swap: a value reached its host, and its program held only a mask\n")
	}
	if len(d.Runtimes) > 0 {
		b.WriteString("\n")
		t := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "RUNTIME\tVERSION\tPROXY\tTRUST\tSWAP")
		for _, r := range d.Runtimes {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", r.Name, orNone(r.Version), r.Proxy, r.Trust, r.Swap)
		}
		_ = t.Flush() // a strings.Builder takes it all
	}
	if d.Command != nil {
		d.Command.print(&b)
	}
	for _, f := range d.Findings {
		f.print(&b, colour)
	}
	b.WriteString("\n" + d.verdict() + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (f finding) print(b *strings.Builder, colour bool) {
	label := string(f.Weight) + ":"
	title := broken(label+" "+f.Title+" ("+f.ID+")", reportWidth)
	if paint := map[weight]string{weighsError: red, weighsWarning: yellow}[f.Weight]; colour && paint != "" {
		title[0] = paint + label + reset + strings.TrimPrefix(title[0], label)
	}
	fmt.Fprintf(b, "\n%s\n", strings.Join(title, "\n  "))
	for _, part := range []struct{ label, text string }{{"why", f.Why}, {"fix", f.Fix}} {
		if part.text == "" {
			continue
		}
		lead := "  " + part.label + "  "
		for line := range strings.SplitSeq(part.text, "\n") { // what is to be written into a file has lines of its own
			for _, text := range broken(line, reportWidth-len(lead)) {
				b.WriteString(lead + text + "\n")
				lead = strings.Repeat(" ", len(lead))
			}
		}
	}
}

// verdict is the last line.
func (d *diagnosis) verdict() string {
	n := map[weight]int{}
	for _, f := range d.Findings {
		n[f.Weight]++
	}
	counts := []string{}
	for _, w := range weights {
		if n[w] > 0 {
			counts = append(counts, plural(n[w], string(w)))
		}
	}
	switch {
	case len(counts) == 0:
		return "nothing is amiss: `kz run --blind` works here"
	case d.OK:
		return strings.Join(counts, ", ") + ": `kz run --blind` works here"
	}
	return strings.Join(counts, ", ") + ": mend the errors first"
}

// noFix is of an error that comes without a hint.
const noFix = "see `kz help errors`"

// findingsOf makes findings of an error, one of each that it joins, each with its hint as what mends it.
func findingsOf(id string, w weight, err error, why string) []finding {
	var found []finding
	for _, f := range flatten(err) {
		found = append(found, finding{ID: id, Weight: w, Title: f.text, Why: why, Fix: cmp.Or(f.hint, noFix)})
	}
	return found
}
