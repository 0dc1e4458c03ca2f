package masking

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

func newTable(t testing.TB, entries ...Entry) *Table {
	t.Helper()
	table, err := NewTable(Key{1}, entries)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestNewTableRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		entries []Entry
		want    string // all of these, by |
	}{
		{"a name twice", []Entry{{Name: "A"}, {Name: "B"}, {Name: "A"}}, `"A" is empty or occurs twice`},
		{"no name", []Entry{{}}, `"" is empty or occurs twice`},
		{"a shape without the mask", []Entry{{"A", "sk-ant-"}}, `the shape of "A" must contain {mask} once`},
		{"a shape with two masks", []Entry{{"A", "{mask}-{mask}"}}, `the shape of "A" must contain {mask} once`},
		{"a space in a shape", []Entry{{"A", "Bearer {mask}"}}, `the shape of "A" must be of printable ASCII`},
		{"a line break in a shape", []Entry{{"A", "{mask}\n"}}, `printable ASCII`},
		{"DEL in a shape", []Entry{{"A", "\x7f{mask}"}}, `printable ASCII`},
		{"other letters than ASCII in a shape", []Entry{{"A", "clé-{mask}"}}, `printable ASCII`},
		{"a shape that is too long", []Entry{{"A", strings.Repeat("x", maxToken-Len+1) + "{mask}"}}, `the shape of "A" must give at most 256 bytes`},
		{"a token that contains another one", []Entry{{Name: "B"}, {"A", Key{1}.Mask("B") + "-{mask}"}}, `the shape of "A" must not contain a mask's prefix`},
		{"a token with another's prefix after it", []Entry{{"A", "{mask}kz_masked_"}}, `must not contain a mask's prefix`},
		{"all at once", []Entry{{"A", "x"}, {Name: "B"}, {Name: "B"}, {"C\n", "{mask} "}}, `"A" must contain|"B" is empty or occurs twice|"C\n" must be of`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			table, err := NewTable(Key{1}, c.entries)
			if err == nil || table != nil {
				t.Fatal("accepted")
			}
			for want := range strings.SplitSeq(c.want, "|") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
		})
	}
	t.Run("not a shape of exactly the limit", func(t *testing.T) {
		t.Parallel()
		if n := len(newTable(t, Entry{"A", strings.Repeat("x", maxToken-Len) + "{mask}"}).Token("A")); n != maxToken {
			t.Fatal(n)
		}
	})
}

func TestToken(t *testing.T) {
	t.Parallel()
	table := newTable(t, Entry{Name: "A"}, Entry{"B", "sk-ant-{mask}-x"})
	for name, want := range map[string]string{"A": Key{1}.Mask("A"), "B": "sk-ant-" + Key{1}.Mask("B") + "-x", "C": ""} {
		if got := table.Token(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestTableFinds(t *testing.T) {
	t.Parallel()
	table := newTable(t, Entry{Name: "A"}, Entry{"B", "sk-ant-{mask}"}, Entry{"C", "x{mask}.y"}, Entry{"D", "ab{mask}"})
	a, b, c := table.Token("A"), table.Token("B"), table.Token("C")
	bareB, bareC, bareD := b[7:], c[1:1+Len], table.Token("D")[2:]
	foreign := Key{2}.Mask("A")
	for _, tc := range []struct {
		name, input string
		known, all  string // what Next and NextString find, by |
		redacted    string
		fromSecond  bool // begin one byte into the input
	}{
		{name: "nothing", input: "no mask here", redacted: "no mask here"},
		{name: "nothing in nothing"},
		{name: "a token alone", input: a, known: "A", all: "A", redacted: "{A}"},
		{name: "tokens side by side", input: a + b + c + a, known: "A|B|C|A", all: "A|B|C|A", redacted: "{A}{B}{C}{A}"},
		{name: "a token whatever is next to it", input: "0" + a + "f" + a + "_", known: "A|A", all: "A|A", redacted: "0{A}f{A}_"},
		{name: "a mask of another session", input: "x " + foreign + " " + a, known: "A", all: "|A", redacted: "x {mask} {A}"},
		{name: "a mask without its shape", input: bareB + " " + b, known: "B", all: "|B", redacted: "{mask} {B}"},
		{name: "a mask with half its shape", input: "x" + bareC + ".z sk-an" + bareB, all: "|", redacted: "x{mask}.z sk-an{mask}"},
		{name: "a mask in upper case is none", input: strings.ToUpper(a) + Prefix + strings.ToUpper(a[len(Prefix):]), redacted: strings.ToUpper(a) + Prefix + strings.ToUpper(a[len(Prefix):])},
		{name: "a cut mask is none", input: a[:Len-1] + "x" + a[:Len-1], redacted: a[:Len-1] + "x" + a[:Len-1]},
		{name: "a prefix before a mask", input: Prefix + a + "kz_masked" + a, known: "A|A", all: "A|A", redacted: Prefix + "{A}kz_masked{A}"},
		{name: "the end of a foreign mask that could begin a shape", input: foreign[:Len-2] + "ab" + bareD, known: "D", all: "|", redacted: "{mask}{mask}"},
		{name: "a shape that begins before the place to look from", input: c, fromSecond: true, all: ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if tc.fromSecond {
				if h, ok := table.Next([]byte(tc.input), 1); ok {
					t.Errorf("Next: %v", h)
				}
				if h, ok := table.NextString(tc.input, 1); !ok || h != (Hit{1, 1 + Len, ""}) {
					t.Errorf("NextString: %v %v", h, ok)
				}
				return
			}
			collect := func(next func(from int) (Hit, bool)) string {
				var names []string
				for from := 0; ; {
					h, ok := next(from)
					if !ok {
						return fmt.Sprintf("%q", names)
					}
					if h.Start < from || h.Name != "" && tc.input[h.Start:h.End] != table.Token(h.Name) || h.Name == "" && !isMask(tc.input[h.Start:h.End]) {
						t.Errorf("%v is %q", h, tc.input[h.Start:h.End])
					}
					names = append(names, h.Name)
					from = h.End
				}
			}
			list := func(s string, foreign bool) string {
				var names []string
				if s != "" || foreign {
					names = strings.Split(s, "|")
				}
				return fmt.Sprintf("%q", names)
			}
			if got, want := collect(func(from int) (Hit, bool) { return table.Next([]byte(tc.input), from) }), list(tc.known, false); got != want {
				t.Errorf("Next: got %s, want %s", got, want)
			}
			if got, want := collect(func(from int) (Hit, bool) { return table.NextString(tc.input, from) }), list(tc.all, false); got != want {
				t.Errorf("NextString: got %s, want %s", got, want)
			}
			if got := table.Redact(tc.input); got != tc.redacted {
				t.Errorf("Redact: got %q, want %q", got, tc.redacted)
			}
		})
	}
}

func TestTableReaderReplaces(t *testing.T) {
	t.Parallel()
	table := newTable(t, Entry{Name: "A"}, Entry{"B", "sk-ant-{mask}"}, Entry{Name: "C"})
	a, b, c := table.Token("A"), table.Token("B"), table.Token("C")
	replace := func(name string) ([]byte, bool) {
		switch name {
		case "A":
			return []byte(b + "<value>" + a), true // a value that contains masks is not swapped again
		case "B":
			return nil, true
		}
		return nil, false
	}
	input := "1" + a + "2" + b + "3" + c + "4" + a[:41] + b[7:] + Key{2}.Mask("A")
	want := "1" + b + "<value>" + a + "2" + "3" + c + "4" + a[:41] + b[7:] + Key{2}.Mask("A")
	for cut := 1; cut <= len(input); cut++ {
		got, err := io.ReadAll(table.Reader(&cutter{data: []byte(input), cuts: []int{cut}, err: io.EOF}, replace))
		if string(got) != want || err != nil {
			t.Fatalf("in reads of %d: got %q, %v, want %q", cut, got, err, want)
		}
	}
	var w bytes.Buffer
	if n, err := table.Reader(strings.NewReader(input), replace).(io.WriterTo).WriteTo(&w); int(n) != len(want) || err != nil || w.String() != want {
		t.Fatalf("got %q, %d, %v", w.String(), n, err)
	}
}

func TestTableScanTouchesNothing(t *testing.T) {
	t.Parallel()
	table := newTable(t, Entry{Name: "A"}, Entry{"B", "sk-ant-{mask}"})
	a, b := table.Token("A"), table.Token("B")
	input := "1" + a + "2" + b + "3" + a[:30] + a + b[7:]
	for cut := 1; cut <= len(input); cut++ {
		var names []string
		got, err := io.ReadAll(table.Scan(&cutter{data: []byte(input), cuts: []int{cut}, err: io.EOF}, func(name string) { names = append(names, name) }))
		if string(got) != input || err != nil || !slices.Equal(names, []string{"A", "B", "A"}) {
			t.Fatalf("in reads of %d: got %q, %v, %v", cut, got, names, err)
		}
	}
}

func FuzzNoMaskIdentical(f *testing.F) {
	table := newTable(f, Entry{Name: "A"}, Entry{"B", "sk-ant-{mask}"})
	scrubber := newScrubber(f, "secret-value")
	a := table.Token("A")
	f.Add([]byte("nothing"), uint16(3))
	f.Add([]byte(a[:41]+a[:41]+strings.ToUpper(a)), uint16(7))
	f.Add(bytes.Repeat([]byte(Prefix), 5000), uint16(1000))
	f.Fuzz(func(t *testing.T, p []byte, cut uint16) {
		if _, ok := table.Next(p, 0); !ok {
			for name, r := range map[string]func(io.Reader) io.Reader{
				"Reader": func(r io.Reader) io.Reader {
					return table.Reader(r, func(string) ([]byte, bool) { t.Error("called"); return nil, true })
				},
				"Scan": func(r io.Reader) io.Reader { return table.Scan(r, func(string) { t.Error("called") }) },
			} {
				got, err := io.ReadAll(r(&cutter{data: p, cuts: []int{int(cut) + 1}, err: io.EOF}))
				if !bytes.Equal(got, p) || err != nil {
					t.Fatalf("%s changed %q to %q, %v", name, p, got, err)
				}
			}
		}
		if h, ok := table.NextString(string(p), 0); !ok && table.Redact(string(p)) != string(p) {
			t.Fatalf("redacted without a mask: %v", h)
		}
		if _, ok := scrubber.Find(p); !ok {
			for _, m := range []Mode{Restore, Fill} {
				got, err := io.ReadAll(scrubber.Reader(&cutter{data: p, cuts: []int{int(cut) + 1}, err: io.EOF}, m, func(string) { t.Error("called") }))
				if !bytes.Equal(got, p) || err != nil {
					t.Fatalf("scrubbing changed %q to %q, %v", p, got, err)
				}
			}
		}
	})
}

func TestTableAllocatesNothing(t *testing.T) {
	table := newTable(t, Entry{Name: "A"}, Entry{"B", "sk-ant-{mask}"})
	s := "Bearer " + table.Token("B") + " " + Key{2}.Mask("A")
	p := []byte(s)
	if n := testing.AllocsPerRun(100, func() {
		table.Next(p, 0)
		table.NextString(s, 0)
		table.NextString("Bearer something-else", 0)
		table.Redact("nothing to redact")
		table.Token("B")
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}
