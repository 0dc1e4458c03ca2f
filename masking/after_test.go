package masking

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestWhatStandsBeforeATokenIsSeenHoweverTheInputIsCut(t *testing.T) {
	t.Parallel()
	table, err := NewTable(NewKey(), []Entry{{Name: "A"}})
	if err != nil {
		t.Fatal(err)
	}
	token := table.Token("A")
	long := strings.Repeat("x", 100<<10)
	text := "ab" + token + "%4" + token + token + long + `\u00` + token
	want := []string{"ab", "ab" + token + "%4", "ab" + token + "%4" + token, long + `\u00`}
	for i := range want {
		want[i] = want[i][max(0, len(want[i])-80):]
	}
	for name, cut := range map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r }, "in bytes": iotest.OneByteReader, "in halves": iotest.HalfReader, "with the end": iotest.DataErrReader,
	} {
		var seen []string
		out, err := io.ReadAll(table.ReaderAfter(cut(strings.NewReader(text)), func(_ string, before []byte) ([]byte, bool) {
			seen = append(seen, string(before))
			return []byte("v"), true
		}))
		if err != nil || !bytes.Equal(out, []byte(strings.ReplaceAll(text, token, "v"))) {
			t.Errorf("%s: %v, %d bytes", name, err, len(out))
		}
		if strings.Join(seen, "|") != strings.Join(want, "|") {
			t.Errorf("%s: seen %q, want %q", name, seen, want)
		}
	}
}
