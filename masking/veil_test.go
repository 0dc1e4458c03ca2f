package masking

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

// veiledValues are one that is long, one of the least length and one with white space.
var veiledValues = []string{"real-key-5f3c0b1e9a7d", "k8-Ab3dE", "line one\nline two\n"}

var veiledScrubber = sync.OnceValues(func() (*Scrubber, error) {
	var all []Value
	for i, v := range veiledValues {
		name := fmt.Sprint("KEY", i)
		all = append(all, Value{name, Key{1}.Mask(name), []byte(v)})
	}
	return NewScrubber(all)
})

// veilOf is a veil over those values.
func veilOf(t testing.TB, hasty bool) (*Veil, []string) {
	t.Helper()
	s, err := veiledScrubber()
	if err != nil {
		t.Fatal(err)
	}
	return NewVeil(func() *Scrubber { return s }, hasty), veiledValues
}

// pieces gives the pieces one by one.
func pieces(ps ...string) io.Reader {
	var rs []io.Reader
	for _, p := range ps {
		rs = append(rs, strings.NewReader(p))
	}
	return io.MultiReader(rs...)
}

func TestWhatIsHiddenIsShownHoweverItIsCut(t *testing.T) {
	t.Parallel()
	for _, hasty := range []bool{false, true} {
		_, values := veilOf(t, hasty)
		text := "first " + values[0] + "," + values[0] + values[1] + " more\n" + values[2] + "\nreal-key-5f3 and k8-Ab3d"
		for at := range len(text) + 1 {
			for _, behind := range []int{1, 5, len(text)} {
				v, _ := veilOf(t, hasty)
				var decoded bytes.Buffer
				src := io.TeeReader(v.Hide(pieces(text[:at], text[at:])), &decoded)
				got, err := io.ReadAll(v.Show(&inPieces{src, behind}))
				if string(got) != text || err != nil {
					t.Fatalf("hasty %v, cut at %d, %d bytes behind: %q, %v", hasty, at, behind, got, err)
				}
				for _, value := range values[:2] {
					// The last one is no value.
					if n := strings.Count(decoded.String(), value[:5]); n != 1 {
						t.Fatalf("hasty %v, cut at %d: the decoder sees %q", hasty, at, decoded.String())
					}
				}
			}
		}
		v, _ := veilOf(t, hasty)
		if got, err := io.ReadAll(v.Show(v.Hide(iotest.OneByteReader(strings.NewReader(text))))); string(got) != text || err != nil {
			t.Errorf("hasty %v, one by one: %q, %v", hasty, got, err)
		}
		if !v.Used() {
			t.Error("it was not used")
		}
	}
}

// inPieces gives what r gives in reads of at most n bytes.
type inPieces struct {
	r io.Reader
	n int
}

func (i *inPieces) Read(p []byte) (int, error) { return i.r.Read(p[:min(len(p), i.n)]) }

func TestNoPartOfAValueIsShown(t *testing.T) {
	t.Parallel()
	v, values := veilOf(t, false)
	b, err := io.ReadAll(v.Hide(strings.NewReader(values[0])))
	if err != nil || len(b) != len(values[0]) || strings.Contains(string(b), values[0][:4]) {
		t.Fatalf("%q, %v", b, err)
	}
	for name, part := range map[string]string{"its beginning": string(b[:10]), "its middle": "abc" + string(b[3:9]) + "def", "its end": string(b[len(b)-4:]), "more than it": string(b) + string(b[:5])} {
		got, err := io.ReadAll(v.Show(strings.NewReader("text " + part)))
		if !errors.Is(err, errShade) || strings.Contains(strings.ReplaceAll(string(got), values[0], ""), values[0][:4]) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	hasty, _ := veilOf(t, true)
	b, err = io.ReadAll(hasty.Hide(pieces(values[0][:3], values[0][3:])))
	if err != nil || !strings.HasPrefix(string(b), values[0][:3]) {
		t.Fatalf("%q, %v", b, err)
	}
	if got, err := io.ReadAll(hasty.Show(strings.NewReader("text " + string(b)))); string(got) != "text "+values[0] || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := io.ReadAll(hasty.Show(strings.NewReader("text " + string(b[3:])))); !errors.Is(err, errShade) || strings.Contains(string(got), values[0][3:]) {
		t.Errorf("without its first bytes: %q, %v", got, err)
	}
}

// TestWhatAVeilKeepsBackTellsNothing has guesses stand at the end of what has come.
func TestWhatAVeilKeepsBackTellsNothing(t *testing.T) {
	t.Parallel()
	_, values := veilOf(t, true)
	come := func(text string) int {
		v, _ := veilOf(t, true)
		r, n := v.Hide(io.MultiReader(strings.NewReader(text), stops{})), 0
		for p := make([]byte, 100); ; {
			m, err := r.Read(p)
			if n += m; err != nil {
				return n
			}
		}
	}
	for n := 5; n < len(values[0]); n++ {
		right, wrong := come("\x00\xff"+values[0][:n]), come("\x00\xff"+values[0][:n-1]+"#")
		if right != wrong {
			t.Errorf("of %d bytes: %d come of a right guess, %d of a wrong one", n, right, wrong)
		}
	}
	for _, all := range []string{"\xffk8-", "\xffa word and anoth\xffer", "\x00\x00\xff\xff"} {
		if got := come(all); got != len(all) {
			t.Errorf("%q: %d bytes come", all, got)
		}
	}
}

// stops is a stream that pauses: whoever reads on sees the error.
type stops struct{}

func (stops) Read([]byte) (int, error) { return 0, errors.New("a pause") }
