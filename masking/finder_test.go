package masking

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// naiveNext is what Finder.Next must equal: the leftmost pattern, of those the
// longest, of equal ones the first.
func naiveNext(texts [][]byte, p []byte, from int) (start, end, id int, ok bool) {
	for start = from; start < len(p); start++ {
		for i, t := range texts {
			if len(t) > 0 && bytes.HasPrefix(p[start:], t) && (!ok || len(t) > end-start) {
				end, id, ok = start+len(t), i, true
			}
		}
		if ok {
			return start, end, id, ok
		}
	}
	return 0, 0, 0, false
}

// naiveHold is what Finder.Hold must equal.
func naiveHold(texts [][]byte, p []byte) int {
	for i := range p {
		for _, t := range texts {
			if len(t) > len(p)-i && bytes.HasPrefix(t, p[i:]) {
				return len(p) - i
			}
		}
	}
	return 0
}

func checkFinder(t *testing.T, texts [][]byte, p []byte) {
	t.Helper()
	checkAgainstNaive(t, NewFinder(texts), texts, p)
	// Also with classes that would not pay.
	halves := func(lengths []int) []int {
		n := len(lengths)
		return []int{(n + 1) / 2, n / 2}[:min(2, n)]
	}
	checkAgainstNaive(t, newFinder(newIndex(texts, halves)), texts, p)
}

func checkAgainstNaive(t *testing.T, f *Finder, texts [][]byte, p []byte) {
	t.Helper()
	for from := 0; ; {
		start, end, id, ok := f.Next(p, from)
		start2, end2, id2, ok2 := naiveNext(texts, p, from)
		if start != start2 || end != end2 || id != id2 || ok != ok2 {
			t.Fatalf("from %d: got [%d:%d] id %d %v, want [%d:%d] id %d %v\npatterns %q\ninput %q",
				from, start, end, id, ok, start2, end2, id2, ok2, texts, p)
		}
		if !ok {
			break
		}
		from = end
	}
	for i := 0; i <= len(p); i += 1 + len(p)/64 {
		if got, want := f.Hold(p[:i]), naiveHold(texts, p[:i]); got != want {
			t.Fatalf("hold: got %d, want %d\npatterns %q\ninput %q", got, want, texts, p[:i])
		}
	}
}

func split(s string) (out [][]byte) {
	for w := range strings.SplitSeq(s, "|") {
		out = append(out, []byte(w))
	}
	return out
}

func TestFinder(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("abcdefghij", 20)
	for _, c := range []struct{ name, patterns, input string }{
		{"nothing is found without patterns", "", "some input"},
		{"an empty pattern is never found", "|needle||", "a needle"},
		{"one pattern stands at the start, in the middle and at the end", "needleneedle", "needleneedle x needleneedle x needleneedle"},
		{"of equal patterns the lowest counts", "0123456789|needle-one|needle-one", "a needle-one"},
		{"of two at one place the longer is taken", "secretvalue|secretvalue-and-more", "a secretvalue-and-more b secretvalue-and-mor"},
		{"of overlapping ones the left is taken", "aaaabbbbcccc|bbbbccccdddd", "aaaabbbbccccdddd bbbbccccdddd"},
		{"a left one that fails does not hide the next", "aaaabbbbccccX|bbbbccccdddd", "aaaabbbbccccdddd"},
		{"a pattern within another one is found when alone", "0123456789|xx0123456789yy", "xx0123456789yz xx0123456789yy"},
		{"a pattern overlaps itself", "aaaaaaaaaa|abababababab", "aaaaaaaaaaaaaaaaaaaaaaaaa ababababababababababab"},
		{"nested patterns", "a|aa|aaa|aaaa|aaaaa|aaaaaaaaaaaaaaaaaaaaaa", strings.Repeat("a", 100) + "b" + strings.Repeat("a", 21)},
		{"one byte", "x", "aaaaxaaaaax"},
		{"short and long together", "k|abc|" + long + "|" + long[3:40], long[:50] + "k" + long + long[3:40] + "abc"},
		{"long patterns with a common beginning", long + "1|" + long + "2|" + long, long + "2" + long + "1" + long + "3"},
		{"the input is shorter than every pattern", "0123456789", "012345678"},
		{"an empty input", "0123456789", ""},
		{"bytes that are not text", "\x00\x00\x00\x00\x00\x00\x00\x00\x01|\xff\xfe\xfd\xfc\xff\xfe\xfd\xfc", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\xff\xfe\xfd\xfc\xff\xfe\xfd\xfc"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			checkFinder(t, split(c.patterns), []byte(c.input))
		})
	}
}

func TestFinderAgainstReferenceOnRandomInputs(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8))
	word := func(abc string, n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = abc[r.IntN(len(abc))]
		}
		return b
	}
	for range 300 {
		abc := []string{"a", "ab", "abc", "abcdefghijklmnop"}[r.IntN(4)]
		var texts [][]byte
		for range r.IntN(12) {
			texts = append(texts, word(abc, r.IntN(1<<r.IntN(9))))
		}
		var p []byte
		for range r.IntN(20) {
			if len(texts) > 0 && r.IntN(2) == 0 {
				text := texts[r.IntN(len(texts))]
				lo := r.IntN(len(text) + 1)
				p = append(p, text[lo*r.IntN(2):]...)
			} else {
				p = append(p, word(abc, r.IntN(60))...)
			}
		}
		checkFinder(t, texts, p)
	}
}

func TestFinderFindsAtEveryPlace(t *testing.T) {
	t.Parallel()
	texts := [][]byte{[]byte("short-one"), []byte("a-longer-secret-value"), bytes.Repeat([]byte("0123456789abcdef"), 8)}
	for _, text := range texts {
		f := NewFinder(texts)
		for at := 0; at < 70_000; at += 1 + at/40 {
			p := append(bytes.Repeat([]byte{'.'}, at), text...)
			p = append(p, bytes.Repeat([]byte{'.'}, at%97)...)
			if start, end, _, ok := f.Next(p, 0); !ok || start != at || end != at+len(text) {
				t.Fatalf("at %d: got [%d:%d] %v", at, start, end, ok)
			}
		}
	}
}

func TestFinderCopiesItsPatterns(t *testing.T) {
	t.Parallel()
	text := []byte("secret-value")
	f := NewFinder([][]byte{text})
	clear(text)
	if _, _, _, ok := f.Next([]byte("a secret-value"), 0); !ok {
		t.Fatal("the pattern changed with the caller's slice")
	}
}

func TestFinderDividesByLength(t *testing.T) {
	t.Parallel()
	texts := append(randomValues(15_000, 60, 60), []byte("shorter8"))
	f := NewFinder(texts)
	if n := len(f.ix.open().classes); n != 2 {
		t.Fatalf("got %d classes, want 2", n)
	}
	if s := f.ix.open().classes[1].stride; s < 50 {
		t.Fatalf("the long patterns are looked for at stride %d", s)
	}
	p := slices.Concat(randomBytes(1000), texts[7], texts[15_000], texts[8], []byte("."))
	var ids []int
	for from := 0; ; {
		_, end, id, ok := f.Next(p, from)
		if !ok {
			break
		}
		ids = append(ids, id)
		from = end
	}
	if !slices.Equal(ids, []int{7, 15_000, 8}) {
		t.Fatalf("got %v", ids)
	}
}

// Whatever the input, the time must grow with its length alone. It is compared
// with that for many matches of one pattern; quadratic behaviour is seen as a
// thousand times that, and more.
func TestFinderIsLinearOnHostileInput(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	masks := randomMasks(1000)
	run := bytes.Repeat([]byte("a"), 80_000)
	periodic := bytes.Repeat([]byte("0123456789abcdef"), 4000)
	zeros := slices.Concat([]byte("a-key-file"), make([]byte, 3000), []byte("end"))
	fill := func(text []byte) []byte { return bytes.Repeat(text, size/len(text)) }
	spend := func(f *Finder, input []byte) time.Duration {
		began := time.Now()
		for from, ok := 0, true; ok; {
			_, from, _, ok = f.Next(input, from)
		}
		for at := 0; at < len(input); at += 8 * chunk {
			f.Hold(input[:at])
		}
		return time.Since(began)
	}
	usual := spend(NewFinder(split("short-one")), fill([]byte("short-one.")))
	long := bytes.Repeat([]byte("long-value"), 6)
	apart := newFinder(newIndex([][]byte{[]byte("short-one"), long}, func([]int) []int { return []int{1, 1} }))
	for _, c := range []struct {
		name   string
		texts  [][]byte
		input  []byte
		finder *Finder // of other texts
	}{
		{name: "the common beginning of all masks", texts: masks, input: fill([]byte(Prefix))},
		{name: "the grams of one mask in turn", texts: masks, input: fill(masks[0][:41])},
		{name: "beginnings of masks", texts: masks, input: fill(slices.Concat(masks[0][:20], masks[1][:30], masks[2][:40]))},
		{name: "a run where the pattern is a run with another end", texts: [][]byte{append(run, 'b')}, input: fill([]byte("a"))},
		{name: "a run where the pattern is a run with another byte within", texts: [][]byte{slices.Concat(run, []byte("b"), run)}, input: fill([]byte("a"))},
		{name: "almost a periodic pattern", texts: [][]byte{periodic}, input: fill(periodic[:len(periodic)-1])},
		{name: "a run where two patterns have one within", texts: [][]byte{zeros, append(zeros, zeros...)}, input: fill(make([]byte, 10))},
		{name: "nothing but matches", texts: append(masks, []byte("short-one")), input: fill([]byte("short-one"))},
		{name: "matches of one class, where the other has none", finder: apart, input: bytes.Repeat(append(long, '.'), 4*size/61)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := c.finder
			if f == nil {
				f = NewFinder(c.texts)
			}
			if took := spend(f, c.input); took > 200*usual*time.Duration(len(c.input)/size+1) {
				t.Fatalf("took %v, where %v is usual", took, usual)
			} else {
				t.Logf("%.0f MB/s, %.1f times the usual", float64(len(c.input))/1e6/took.Seconds(), float64(took)/float64(usual))
			}
		})
	}
}

// Escaped in full, a text is made of what patterns are made of. It must not cost
// as if a pattern began everywhere: that would be a hundred times the usual.
func TestFinderIsFastOnTextEscapedInFull(t *testing.T) {
	t.Parallel()
	text := string(jsonLike(32 << 10))
	f := benchScrubber(t, randomValues(1000, 20, 60)).finding
	least := func(input []byte) time.Duration {
		best := time.Hour
		for range 20 {
			began := time.Now()
			if _, _, _, ok := f.Next(input, 0); ok {
				t.Fatal("found")
			}
			best = min(best, time.Since(began))
		}
		return best
	}
	usual := least([]byte(text))
	for _, name := range []string{"JSON in full", "HTML in full", "percent in full"} {
		if took := least([]byte(encoders[name](text))[:len(text)]); took > 40*usual {
			t.Errorf("%s took %v, where %v is usual", name, took, usual)
		}
	}
}

func TestFinderAllocatesNothing(t *testing.T) {
	texts := append(randomValues(300, 20, 90), []byte("shorter8"))
	f := NewFinder(texts)
	p := slices.Concat(jsonLike(100_000), texts[0], texts[300], texts[1][:15])
	if n := testing.AllocsPerRun(10, func() {
		for from, ok := 0, true; ok; {
			_, from, _, ok = f.Next(p, from)
		}
		f.Hold(p)
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func FuzzFinder(f *testing.F) {
	f.Add([]byte("secretvalue|secretvalue-and-more"), []byte("a secretvalue-and-mor"), uint8(0))
	f.Add([]byte("aaaaaaaaaa|aaaab|ba"), []byte("aaaaaaaaaaaaaabaaaaa"), uint8(1))
	f.Add([]byte("0123456789|456|9"), []byte("0120123456789456"), uint8(3))
	f.Fuzz(func(t *testing.T, patterns, p []byte, letters uint8) {
		if len(patterns) > 2000 || len(p) > 2000 {
			return
		}
		checkFinder(t, bytes.Split(narrow(patterns, letters), []byte("|")), narrow(p, letters))
	})
}

// narrow maps p to few letters, so that matches are likely; '|' stays.
func narrow(p []byte, letters uint8) []byte {
	out := bytes.Clone(p)
	for i, c := range out {
		if letters > 0 && c != '|' {
			out[i] = 'a' + c%letters
		}
	}
	return out
}

func ExampleFinder() {
	f := NewFinder([][]byte{[]byte("secret-value"), []byte("secret-value-2")})
	fmt.Println(f.Next([]byte("the secret-value-2"), 0))
	fmt.Println(f.Hold([]byte("the secret-va")))
	// Output:
	// 4 18 1 true
	// 9
}
