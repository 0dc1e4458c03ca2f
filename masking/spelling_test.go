package masking

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// spelling is a way that one encoder might write a text, and the way back.
type spelling struct {
	write func(v string) string
	read  func(text string) (string, error)
}

// spellings makes one of each kind up for v: which of the few characters that
// encoders differ about are escaped, and how, is up to r.
func spellings(r *rand.Rand, v string) map[string]spelling {
	choice := map[rune]int{}
	for _, c := range v {
		choice[c] = r.IntN(2)
	}
	digits := []string{"%04x", "%04X"}[r.IntN(2)]
	slash := r.IntN(2) == 0
	chosen := func(c rune) bool { return strings.ContainsRune(special, c) && choice[c] == 1 }
	toJSON := func(v string) string {
		return spell(v, func(c rune) string {
			switch {
			case chosen(c) || c < ' ' && !strings.ContainsRune("\b\f\n\r\t", c):
				return fmt.Sprintf(`\u`+digits, c)
			case c == '/' && slash:
				return `\/`
			}
			return jsonMinimal(string(c))
		})
	}
	percent := []string{"%%%02X", "%%%02x"}[r.IntN(2)]
	space := []string{"%20", "+"}[r.IntN(2)]
	number := []string{"&#%d;", "&#x%x;", "&#x%X;", ""}[r.IntN(4)]
	return map[string]spelling{
		"JSON": {toJSON, fromJSON},
		"JSON of JSON": {func(v string) string { return jsonMinimal(toJSON(v)) }, func(text string) (string, error) {
			inner, err := fromJSON(text)
			if err != nil {
				return "", err
			}
			return fromJSON(inner)
		}},
		"percent": {func(v string) string {
			return spell(v, func(c rune) string {
				switch {
				case c == ' ':
					return space
				case strings.ContainsRune(unreserved, c) || strings.ContainsRune(special, c) && !chosen(c):
					return string(c)
				}
				s := ""
				for _, b := range []byte(string(c)) {
					s += fmt.Sprintf(percent, b)
				}
				return s
			})
		}, url.QueryUnescape},
		"HTML": {func(v string) string {
			return spell(v, func(c rune) string {
				switch name := slices.Index(htmlNames, string(c)); {
				case !chosen(c):
					return string(c)
				case number != "":
					return fmt.Sprintf(number, c)
				case name >= 0:
					return htmlNames[name+1]
				}
				return string(c)
			})
		}, func(text string) (string, error) { return html.UnescapeString(text), nil }},
	}
}

func fromJSON(text string) (v string, err error) {
	err = json.Unmarshal([]byte(`"`+text+`"`), &v)
	return v, err
}

// few says whether v has no more of the characters that encoders differ about
// than that all sets of them are looked for.
func few(v string) bool {
	return len(within(others([]byte(v)), special)) <= 3
}

// checkSpelling holds that the text, where decoding finds the value, is scrubbed
// so that it does not, and that reads and modes agree; and that it can still be
// decoded, if nothing is around the value that a hit may begin or end in.
func checkSpelling(t *testing.T, kind, v, text string, alone bool, s *Scrubber, read func(string) (string, error), cuts []int) {
	t.Helper()
	hits := 0
	got := s.String(text, func(string) { hits++ })
	for _, mode := range []Mode{Restore, Fill} {
		streamed := 0
		out, err := io.ReadAll(s.Reader(&cutter{data: []byte(text), cuts: cuts, err: io.EOF}, mode, func(string) { streamed++ }))
		if err != nil || streamed != hits || mode == Restore && string(out) != got || mode == Fill && len(out) != len(text) {
			t.Fatalf("%s of %q: in reads of %v, mode %d: %q, %d hits, %v; not %q, %d hits", kind, v, cuts, mode, out, streamed, err, got, hits)
		}
		before, err := read(text)
		if err != nil || !strings.Contains(before, v) {
			continue
		}
		after, err := read(string(out))
		if hits == 0 || err != nil && alone || strings.Contains(after, v) {
			t.Fatalf("%s of %q: %q became %q, %d hits, %v", kind, v, text, out, hits, err)
		}
	}
}

func TestScrubberFindsWhateverSetIsEscaped(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	for range 400 {
		abc := "abcDEF019-_." + special[r.IntN(len(special)):][:1] + special[r.IntN(len(special)):][:1] + special[r.IntN(len(special)):][:1]
		if r.IntN(4) == 0 {
			abc += " é日\n"
		}
		var v string
		for range 8 + r.IntN(40) {
			v += string([]rune(abc)[r.IntN(utf8.RuneCountInString(abc))])
		}
		v = strings.Trim(v, "\n")
		if len(v) < MinScrub {
			continue
		}
		s := newScrubber(t, v)
		for kind, sp := range spellings(r, v) {
			if text := sp.write(v); s.String("{"+text+"}", nil) != "{"+testMask+"}" {
				t.Errorf("%s of %q: %q is not found", kind, v, text)
			} else {
				checkSpelling(t, kind, v, "a"+text+"b", true, s, sp.read, []int{1 + r.IntN(9), 1 + r.IntN(30)})
			}
		}
	}
}

func FuzzScrubberAgainstDecoding(f *testing.F) {
	f.Add("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY=", uint64(1), "x", []byte{1, 7})
	f.Add("a \"quoted\" value", uint64(2), `\\`, []byte{2})
	f.Add("back\\slash\\n\\u0041", uint64(3), "&amp;", []byte{3, 40})
	f.Add("percent%41%zz%", uint64(4), "%", []byte{})
	f.Add("amp&amp;&#61;lt", uint64(5), "&#", []byte{5})
	f.Add("line\r\nbreaks\nin it é日😀", uint64(6), "é", []byte{1})
	f.Fuzz(func(t *testing.T, v string, seed uint64, around string, sizes []byte) {
		v = strings.Map(func(r rune) rune {
			if r < ' ' && !strings.ContainsRune("\n\r\t", r) {
				return '0' // the test's encoders write these in lower case
			}
			if r == utf8.RuneError {
				return '日' // decoders make it of what is no text, such as half a character
			}
			return r
		}, string(trimNewline([]byte(v))))
		if !Scrubbable([]byte(v)) || len(v) > 100 || len(around) > 100 || !utf8.ValidString(v) || !utf8.ValidString(around) {
			return
		}
		var cuts []int
		for _, n := range sizes {
			cuts = append(cuts, 1+int(n)%60)
		}
		s := newScrubber(t, v)
		all := map[string]spelling{}
		if few(v) {
			all = spellings(rand.New(rand.NewPCG(seed, 0)), v)
		}
		nothing := func(string) (string, error) { return "", errors.New("not decoded") }
		for name, encode := range encoders {
			all[name] = spelling{encode, nothing}
		}
		for kind, sp := range all {
			text := sp.write(v)
			if _, ok := s.Find([]byte(text)); !ok {
				t.Fatalf("%s of %q: %q is not found", kind, v, text)
			}
			checkSpelling(t, kind, v, text, true, s, sp.read, cuts)
			checkSpelling(t, kind, v, sp.write(around)+text+text[:len(text)/2]+sp.write(around), false, s, sp.read, cuts)
		}
	})
}

func TestFollow(t *testing.T) {
	t.Parallel()
	const text = "old: the-old-value, new: another-value-2, old: the-old-value."
	learned := strings.Index(text, "another") // it cannot come before it is known
	before := newScrubber(t, "the-old-value")
	after := newScrubber(t, "the-old-value", "another-value-2")
	want := after.String(text, nil)
	for _, mode := range []Mode{Restore, Fill} {
		for cut := 1; cut < len(text); cut++ {
			for change := 0; change <= learned; change++ {
				given := 0
				src := &cutter{data: []byte(text), cuts: []int{cut}, err: io.EOF}
				var names []string
				got, err := io.ReadAll(Follow(readerFunc(func(p []byte) (int, error) {
					n, err := src.Read(p)
					given += n
					return n, err
				}), mode, Holding(change%2), func() *Scrubber {
					if given > change {
						return after
					}
					return before
				}, func(name string) { names = append(names, name) }))
				if err != nil || len(names) != 3 || mode == Restore && string(got) != want || len(after.String(string(got), nil)) != len(got) || bytes.Contains(got, []byte("value")) {
					t.Fatalf("reads of %d, changed after %d: %q %v %v", cut, change, got, names, err)
				}
			}
		}
	}
}
