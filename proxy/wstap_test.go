package proxy

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

// TestMasksInMessagesThatPassAreRecorded: whatever a client sends comes out as it was, and each secret whose mask stood in a text
// message is named once.
func TestMasksInMessagesThatPassAreRecorded(t *testing.T) {
	t.Parallel()
	p, _ := frameProxy(t)
	key, lines := p.opts.Table.Token("KEY"), p.opts.Table.Token("LINES")
	long := strings.Repeat("words and ", 20_000)
	for name, c := range map[string]struct {
		in   []byte
		want string
	}{
		"plain":                     {framesOf(true, opText, "token "+key), "KEY"},
		"often, and another":        {framesOf(true, opText, key+key, opText, lines+key, opPing, "", opText, key), "KEY LINES"},
		"over fragments":            {framesOf(true, opText, "+"+key[:11], opPing, "between", opContinuation, "+"+key[11:40], opContinuation, key[40:]+"."), "KEY"},
		"in a long message":         {framesOf(true, opText, long+key+long, opText, lines), "KEY LINES"},
		"in two messages":           {framesOf(true, opText, key[:20], opText, key[20:]), ""},
		"binary":                    {framesOf(true, opBinary, key, opBinary, "+"+key, opContinuation, key, opText, lines), "LINES"},
		"in control frames":         {framesOf(true, opPing, key, opText, "+", opPong, key, opContinuation, "", opClose, "\x03\xe8"+key), ""},
		"of a client without a key": {framesOf(false, opText, key), ""},
		"behind what is no frame":   {append(framesOf(true, opText, lines), "no frame "+string(framesOf(true, opText, key))...), "LINES"},
		"cut short":                 {framesOf(true, opText, lines, opText, key)[:80], "LINES"},
	} {
		for _, n := range []int{1, 7, 5000, len(c.in)} {
			t.Run(fmt.Sprintf("%s, %d bytes a read", name, n), func(t *testing.T) {
				t.Parallel()
				_, x := frameProxy(t)
				var out bytes.Buffer
				s := &frameSwapper{x: x, told: map[toldSwap]bool{}}
				f := &frameCopy{window: newWindow(&inReads{c.in, n}), dst: &out, masked: true, tap: &frameTap{swapper: s}}
				if err := f.raw(); err != io.EOF || !bytes.Equal(out.Bytes(), c.in) {
					t.Errorf("%v: %d bytes came out of %d", err, out.Len(), len(c.in))
				}
				var names []string
				for _, w := range x.withheld {
					names = append(names, w.Secret)
					if w.Place != "frame" {
						t.Errorf("%+v", w)
					}
				}
				if got := strings.Join(names, " "); got != c.want {
					t.Errorf("it names %q, not %q", got, c.want)
				}
			})
		}
	}
}
