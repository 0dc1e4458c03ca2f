package masking

import (
	"io"
	"testing"
)

// passed is how much of the pieces, one a read, a stream hands on before it asks for more.
func passed(t *testing.T, s *Scrubber, h Holding, pieces ...string) []int {
	t.Helper()
	var at []int
	got := 0
	next := 0
	r := Follow(readerFunc(func(p []byte) (int, error) {
		if next > 0 {
			at = append(at, got)
		}
		if next == len(pieces) {
			return 0, io.ErrUnexpectedEOF
		}
		next++
		return copy(p, pieces[next-1]), nil
	}), Restore, h, func() *Scrubber { return s }, nil)
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		if got += n; err != nil {
			return append(at, got)
		}
	}
}

func evenScrubber(t *testing.T, values ...string) *Scrubber {
	t.Helper()
	var known []Value
	for _, v := range values {
		known = append(known, Value{Name: "KEY", Mask: "kz_masked_00000000000000000000000000000000", Bytes: []byte(v)})
	}
	s, err := NewScrubber(known)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhenAPieceComesTellsNothingOfAValue(t *testing.T) {
	t.Parallel()
	const value = "real-key-5f3c0b1e9a7d"
	s := evenScrubber(t, value)
	for n := 1; n < len(value); n++ {
		guess := value[:n]
		wrong := guess[:n-1] + string('A'+guess[n-1]%23)
		for _, before := range []string{"", "data: ", `{"x":"`} {
			right := passed(t, s, Evenly, before+guess)
			if other := passed(t, s, Evenly, before+wrong); right[0] != other[0] || right[1] != other[1] {
				t.Errorf("%q: %v, %q: %v", before+guess, right, before+wrong, other)
			}
		}
	}
	if passed(t, s, Closely, "real-k")[0] == passed(t, s, Closely, "real-x")[0] {
		t.Error("this test would not see it")
	}
}

func TestWhatEndsInABreakDoesNotWait(t *testing.T) {
	t.Parallel()
	for name, values := range map[string][]string{
		"a key":        {"real-key-5f3c0b1e9a7d"},
		"a PEM key":    {"-----BEGIN KEY-----\nMIIBVQIBADANBgkqh\n-----END KEY-----\n"},
		"a passphrase": {"correct horse battery staple"},
	} {
		s := evenScrubber(t, values...)
		for _, piece := range []string{"data: {\"delta\":\"real\"}\n\n", "{\"watch\":1}\n", "{\"watch\":1}", "<p>text</p>", "some words ", "event: x\r\n\r\n"} {
			if got := passed(t, s, Evenly, piece)[0]; got != len(piece) {
				t.Errorf("%s: of %q %d bytes came", name, piece, got)
			}
		}
	}
}

func TestAWordIsKeptBackOnlyAsLongAsAPatternIs(t *testing.T) {
	t.Parallel()
	s := evenScrubber(t, "real-key-5f3c0b1e9a7d")
	long := make([]byte, 4000)
	for i := range long {
		long[i] = 'x'
	}
	longest := s.finding.ix.open().longest
	if got := passed(t, s, Evenly, string(long))[0]; got != len(long)-longest+1 {
		t.Errorf("%d of %d came, the longest pattern is %d", got, len(long), longest)
	}
}
