package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"kz/proxy/audit"
)

// swap takes b from a client to its server, n bytes a read.
func swap(x *exchange, b []byte, n int) ([]byte, error) {
	var out bytes.Buffer
	err := swapping(x, &inReads{b, n}, &out).run()
	return out.Bytes(), err
}

// swapped is what is to come out for what a client sent.
func swapped(p *Proxy, in []event) []event {
	var out []event
	for _, e := range in {
		if e.op == opText {
			s := strings.TrimLeft(e.payload, " \t\r\n")
			inJSON := strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[")
			sent := e.payload
			for name, value := range map[string]string{"KEY": frameValue, "LINES": linesValue} {
				if inJSON {
					value = string(jsonString(value))
				}
				token := p.opts.Table.Token(name)
				for at := 0; ; at += len(token) {
					i := strings.Index(sent[at:], token)
					if i < 0 {
						break
					}
					if at += i; !takesIn([]byte(sent[:at])) {
						// One that stays as it is stands as often before it in what comes out as in what was sent.
						e.payload = replaceNth(e.payload, token, value, kept(sent[:at], token))
					}
				}
			}
		}
		out = append(out, e)
	}
	return out
}

// kept is how many of the tokens in what was sent stay as they are.
func kept(sent, token string) (n int) {
	for at := 0; ; at += len(token) {
		i := strings.Index(sent[at:], token)
		if i < 0 {
			return n
		}
		if at += i; takesIn([]byte(sent[:at])) {
			n++
		}
	}
}

// replaceNth replaces the token behind n others.
func replaceNth(s, token, value string, n int) string {
	at := 0
	for range n {
		at += strings.Index(s[at:], token) + len(token)
	}
	i := at + strings.Index(s[at:], token)
	return s[:i] + value + s[i+len(token):]
}

func TestMasksInTextMessagesAreSwapped(t *testing.T) {
	t.Parallel()
	p, _ := frameProxy(t)
	mask := p.opts.Table.Token("KEY")
	long := strings.Repeat("words and ", 20_000)
	for name, parts := range map[string][]any{
		"plain":               {opText, "token " + mask},
		"twice":               {opText, mask + mask, opText, mask},
		"without one":         {opText, "hello", opText, mask[:20], opText, mask[20:]},
		"binary":              {opBinary, mask, opBinary, "+" + mask, opContinuation, mask},
		"over fragments":      {opText, "+" + mask[:11], opPing, mask, opContinuation, "+" + mask[11:40], opContinuation, mask[40:] + "."},
		"long":                {opText, long + mask + long},
		"long and fragmented": {opText, "+" + long + mask[:5], opContinuation, mask[5:] + long, opBinary, "+" + long, opPing, "", opContinuation, mask},
		"lines":               {opText, "as it is: " + p.opts.Table.Token("LINES")},
		"lines in JSON":       {opText, ` {"k":"` + p.opts.Table.Token("LINES") + `"}`, opText, `+ [`, opContinuation, `"` + p.opts.Table.Token("LINES") + `"]`},
		"control frames":      {opPong, mask, opClose, "\x03\xe8" + mask},
	} {
		b := framesOf(true, parts...)
		in, _ := events(b, true)
		for _, n := range []int{1, 13, 130, 1 << 20} {
			if n < 130 && len(b) > 10_000 {
				continue
			}
			_, x := frameProxy(t)
			out, err := swap(x, b, n)
			got, rest := events(out, true)
			if err != io.EOF || len(rest) > 0 {
				t.Errorf("%s, %d bytes a read: %v, left %.50q", name, n, err, rest)
			}
			sameEvents(t, got, swapped(p, in))
		}
	}
}

func TestAValueWithLineBreaksStaysValidJSON(t *testing.T) {
	t.Parallel()
	p, x := frameProxy(t)
	out, _ := swap(x, framesOf(true, opText, `{"k":"<`+p.opts.Table.Token("LINES")+`>"}`), 100)
	got, _ := events(out, true)
	var m map[string]string
	if err := json.Unmarshal([]byte(got[0].payload), &m); err != nil || m["k"] != "<"+linesValue+">" {
		t.Errorf("%v: %q", err, m)
	}
}

func TestASwappedFrameHasAKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	p, x := frameProxy(t)
	in := framesOf(true, opText, "x", opText, p.opts.Table.Token("KEY"), opText, p.opts.Table.Token("KEY"))
	out, _ := swap(x, in, 1<<20)
	if !bytes.Equal(out[:7], in[:7]) {
		t.Errorf("a frame without a mask became %q", out[:7])
	}
	first, second := out[7:7+6+len(frameValue)], out[7+6+len(frameValue):]
	if len(first) != len(second) || bytes.Equal(first[2:6], second[2:6]) || bytes.Contains(in, first[2:6]) {
		t.Errorf("keys %x, %x", first[2:6], second[2:6])
	}
}

func TestMasksThatMayNotBeSwappedStayAndAreRecordedOnce(t *testing.T) {
	t.Parallel()
	p, x := frameProxy(t)
	token := p.opts.Table.Token
	text := strings.Join([]string{token("BYTES"), token("GONE"), token("HEAD"), token("KEY"), "kz_masked_" + strings.Repeat("0", 32)}, " ")
	in := framesOf(true, opText, text, opText, text, opText, "+"+text, opContinuation, text)
	out, err := swap(x, in, 100)
	got, _ := events(out, true)
	if err != io.EOF || len(got) != 3 || got[0].payload != strings.ReplaceAll(text, token("KEY"), frameValue) {
		t.Errorf("%v: %q", err, got)
	}
	reasons := map[string]string{}
	for _, w := range x.withheld {
		if w.Place != "frame" || reasons[w.Secret] != "" {
			t.Errorf("%+v", w)
		}
		reasons[w.Secret] = w.Reason
	}
	if len(reasons) != 3 || reasons["BYTES"] != "the value is not UTF-8, which a text message must be" || !strings.Contains(reasons["GONE"], "could not be had from its store") ||
		reasons["HEAD"] != "HEAD may not stand in a WebSocket message" {
		t.Errorf("%q", reasons)
	}
	if len(x.swapped) != 1 || x.swapped[0] != (audit.Swapped{Secret: "KEY", Place: "frame"}) {
		t.Errorf("%+v", x.swapped)
	}
}

func TestManyMasksOfALongValueAreNotPutTogetherInMemory(t *testing.T) {
	t.Parallel()
	p, x := frameProxy(t)
	value := strings.Repeat("long value ", 10_000)
	p.opts.Values = valuesOf(value)
	n := maxWhole / len(p.opts.Table.Token("KEY"))
	out, err := swap(x, framesOf(true, opText, strings.Repeat(p.opts.Table.Token("KEY"), n)), 1<<20)
	if h, _, _ := parseFrame(out, true); h.fin || h.length > fragment {
		t.Errorf("one frame of %d bytes", h.length)
	}
	got, rest := events(out, true)
	if err != io.EOF || len(rest) > 0 || len(got) != 1 || got[0].payload != strings.Repeat(value, n) {
		t.Errorf("%v: %d events, left %d bytes", err, len(got), len(rest))
	}
}

func TestFramesOfAClientMustBeMasked(t *testing.T) {
	t.Parallel()
	_, x := frameProxy(t)
	out, err := swap(x, framesOf(false, opText, "hello"), 100)
	var framing *framingError
	if !errors.As(err, &framing) || len(out) > 0 {
		t.Errorf("%v: %q", err, out)
	}
}

// FuzzFrames holds that whatever bytes come, what goes on are whole frames that say the same, values and masks aside,
// however the bytes are cut.
func FuzzFrames(f *testing.F) {
	p, _ := frameProxy(f)
	mask := p.opts.Table.Token("KEY")
	for _, up := range []bool{false, true} {
		f.Add(framesOf(up, opText, "it is "+frameValue+mask, opPing, "p", opClose, "\x03\xe8"+frameValue), up, 3)
		f.Add(framesOf(up, opText, "+"+frameValue[:9]+mask[:9], opPong, "", opContinuation, "+"+mask[9:], opContinuation, frameValue), up, 100)
		f.Add(framesOf(up, opText, "+[", opContinuation, p.opts.Table.Token("LINES"), opBinary, mask+linesValue), up, 1)
		f.Add(framesOf(up, opBinary, strings.Repeat("x", 70_000)+frameValue, opText, strings.Repeat("x", 70_000)+mask), up, 5000)
	}
	for _, bad := range badFrames {
		f.Add([]byte(bad), false, 1)
	}
	f.Fuzz(func(t *testing.T, b []byte, up bool, n int) {
		n = min(max(n, 1), 1<<20)
		in, _ := events(b, up)
		if up {
			_, x := frameProxy(t)
			out, _ := swap(x, b, n)
			got, _ := events(out, true)
			sameEvents(t, got, swapped(p, in))
			return
		}
		out, _ := carry(p, b, n)
		got, rest := events(out, false)
		sameEvents(t, got, scrubbed(p, in))
		if fragments, _ := events(append(out[:len(out):len(out)], 0x80, 0), false); len(rest) > 0 && len(fragments) != len(got)+1 {
			t.Fatalf("not whole frames: %q", rest)
		}
	})
}
