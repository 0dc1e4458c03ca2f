package proxy

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"kz/masking"
)

func enveloping(x *exchange, src io.Reader) *envelopes {
	return newEnvelopes(src, x.p, x.didScrub("body"))
}

// filled is b with a filler for each value, and whether that is an answer: whole messages, and no value in a head.
func filled(p *Proxy, b []byte) (out []byte, whole bool) {
	filler := p.opts.Table.Token("KEY")[:len(frameValue)]
	out = bytes.ReplaceAll(b, []byte(frameValue), []byte(filler))
	for at := 0; at < len(b); {
		if len(b)-at < envelopeHead || b[at]&0x7c != 0 || uint64(len(b)-at-envelopeHead) < uint64(binary.BigEndian.Uint32(b[at+1:])) {
			return out, false
		}
		if !bytes.Equal(out[at:at+envelopeHead], b[at:at+envelopeHead]) {
			return out, false
		}
		at += envelopeHead + int(binary.BigEndian.Uint32(b[at+1:]))
	}
	return out, true
}

func envelopesOf(messages ...string) []byte {
	var b []byte
	for _, m := range messages {
		b = append(binary.BigEndian.AppendUint32(append(b, m[0]), uint32(len(m)-1)), m[1:]...)
	}
	return b
}

func TestEnvelopesAreTheSameHoweverTheyAreCut(t *testing.T) {
	t.Parallel()
	_, x := frameProxy(t)
	long := strings.Repeat("words and ", 20_000)
	short := envelopesOf("\x00"+frameValue, "\x00", "\x00"+frameValue[:20], "\x00"+frameValue[20:], "\x01"+frameValue, "\x80x"+frameValue+frameValue, "\x02{}")
	all := append(envelopesOf("\x00"+long+frameValue+long+frameValue[:1], "\x01"+long+frameValue, "\x00"+strings.Repeat("x", maxWhole-len(frameValue))+frameValue,
		"\x00"+strings.Repeat("x", maxWhole+1-len(frameValue))+frameValue), short...)
	for _, n := range []int{1, 4, 60, 1000, 1 << 20} {
		b := all
		if n < 60 {
			b = short
		}
		want, _ := filled(x.p, b)
		var out bytes.Buffer
		if _, err := enveloping(x, &inReads{b, n}).WriteTo(&out); err != nil || !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%d bytes a read: %v, %d bytes, want %d", n, err, out.Len(), len(want))
		}
	}
}

// FuzzEnvelopes holds that whole messages come out with their lengths, scrubbed, that nothing else is a success, and that
// of what is none nothing comes out but its scrubbed beginning.
func FuzzEnvelopes(f *testing.F) {
	f.Add(envelopesOf("\x00"+frameValue, "\x00", "\x01"+frameValue), 3)
	f.Add(envelopesOf("\x00" + strings.Repeat("x", 70_000) + frameValue)[:70_020], 1000)
	f.Add([]byte("\x00\xff\xff\xff\xff"+frameValue), 1)
	f.Add([]byte("{}"), 1)
	f.Add([]byte("\x00"+frameValue+strings.Repeat("x", 100)), 1)
	f.Add([]byte("\x00\x00\x00\x00"+frameValue+strings.Repeat("\x00", int(frameValue[0])-len(frameValue)+1)), 500)
	f.Add(append(envelopesOf("\x00"+frameValue[:6]), frameValue[6:]...), 7)
	p, x := frameProxy(f)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if name, found := p.scrubbers().Find(b); found && name != "KEY" || bytes.Count(b, []byte(frameValue)) == 0 && found {
			return // the plain way of filled knows one value in one form
		}
		want, whole := filled(p, b)
		var out bytes.Buffer
		_, err := enveloping(x, &inReads{b, min(max(n, 1), 1<<20)}).WriteTo(&out)
		got := out.Bytes()
		if whole != (err == nil) || whole && len(got) != len(want) {
			t.Fatalf("%v: got %.100q, want %.100q", err, got, want)
		}
		if !whole {
			got = got[:max(0, len(got)-masking.MinScrub+1)] // that much of a value may go before it is known for one
		}
		if !bytes.HasPrefix(want, got) {
			t.Fatalf("%v: got %.100q, want %.100q", err, got, want)
		}
	})
}

func BenchmarkEnvelopes(b *testing.B) {
	_, x := frameProxy(b)
	for name, c := range map[string]struct {
		text string
		read int
	}{"small, a read each": {"\x00" + strings.Repeat("x", 100), 105}, "empty, many a read": {"\x00", 16 << 10}, "1 MiB": {"\x00" + strings.Repeat("x", 1<<20), 16 << 10}} {
		b.Run(name, func(b *testing.B) {
			message := bytes.Repeat(envelopesOf(c.text), 1+c.read/(len(c.text)+4))
			left := &counted{}
			e := enveloping(x, &endless{b: message, n: c.read})
			one := len(c.text) + envelopeHead - 1
			b.SetBytes(int64(one))
			b.ReportAllocs()
			left.left = b.N * one
			b.ResetTimer()
			if _, err := e.WriteTo(left); err != io.ErrClosedPipe {
				b.Fatal(err)
			}
		})
	}
}
