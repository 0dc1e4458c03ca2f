package proxy

import (
	"io"
	"strings"
	"testing"
)

func TestNoEscapeOfAMessageTakesInAValue(t *testing.T) {
	t.Parallel()
	for _, before := range []string{`{"k":"\u00`, `{"k":"\`, `{"k":"{\"k\":\"\\u0`, "%", "a=%4", "&#x", "\xc3"} {
		for _, long := range []string{"", strings.Repeat("x", 2<<20)} {
			p, x := frameProxy(t)
			mask := p.opts.Table.Token("KEY")
			text := before[:1] + long + before[1:]
			if before[0] != '{' {
				text = long + before
			}
			out, err := swap(x, framesOf(true, opText, text+mask), 1<<20)
			got, _ := events(out, true)
			if err != io.EOF || len(got) != 1 || got[0].payload != text+mask {
				t.Errorf("%q behind %d bytes: %v, %d messages", before, len(long), err, len(got))
			}
			if len(x.withheld) != 1 || !strings.Contains(x.withheld[0].Reason, "escape") || len(x.swapped) != 0 {
				t.Errorf("%q: %+v %+v", before, x.withheld, x.swapped)
			}
		}
	}
}
