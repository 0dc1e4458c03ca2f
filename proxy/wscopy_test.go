package proxy

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"kz/masking"
	"kz/proxy/audit"
	"kz/proxy/policy"
	"kz/resolver"
)

const (
	frameValue = "real-key-5f3c0b1e9a7d"
	linesValue = "line \"one\"\nline two\n"
	bytesValue = "\xff\xfenot utf-8"
)

// frameProxy is as much of a Proxy as frames need, and what one exchange with ws.test has of it. KEY, LINES, BYTES and GONE
// may stand in frames, HEAD may not.
func frameProxy(t testing.TB) (*Proxy, *exchange) {
	t.Helper()
	values := map[string]string{"KEY": frameValue, "LINES": linesValue, "BYTES": bytesValue, "HEAD": "another-value-1"}
	names := []string{"KEY", "LINES", "BYTES", "GONE", "HEAD"}
	host, err := policy.ParseHostPattern("ws.test")
	if err != nil {
		t.Fatal(err)
	}
	entries := make([]masking.Entry, len(names))
	secrets := make([]policy.Secret, len(names))
	for i, name := range names {
		entries[i].Name = name
		secrets[i] = policy.Secret{Name: name, Hosts: []policy.HostPattern{host}, Places: []policy.Place{{Kind: policy.Frame}}}
	}
	secrets[4].Places = policy.DefaultPlaces()
	table, err := masking.NewTable(masking.Key{1}, entries)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{opts: Options{Table: table, Audit: &audit.Memory{}, Values: func(_ context.Context, name string) (resolver.Secret, error) {
		v, ok := values[name]
		if !ok {
			return resolver.Secret{}, errors.New("gone")
		}
		return resolver.NewSecret(v), nil
	}}}
	p.log = slog.New(slog.DiscardHandler)
	for name, v := range values {
		if err := p.Learn(name, resolver.NewSecret(v)); err != nil {
			t.Fatal(err)
		}
	}
	return p, &exchange{p: p, scope: newDestination(policy.New(secrets, policy.Egress{}).Scope(policy.Authority{Host: "ws.test", Port: 443}), "https")}
}

func valuesOf(value string) func(context.Context, string) (resolver.Secret, error) {
	return func(context.Context, string) (resolver.Secret, error) { return resolver.NewSecret(value), nil }
}

// inReads gives out b in reads of at most n bytes.
type inReads struct {
	b []byte
	n int
}

func (r *inReads) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), r.n)], r.b)
	r.b = r.b[n:]
	return n, nil
}

// carry takes b from a server to its client, n bytes a read.
func carry(p *Proxy, b []byte, n int) ([]byte, error) {
	x := &exchange{p: p}
	var out bytes.Buffer
	c := scrubbing(x, &inReads{b, n}, &out)
	err := c.run()
	return out.Bytes(), err
}

func scrubbing(x *exchange, src io.Reader, dst io.Writer) *frameCopy {
	return &frameCopy{window: newWindow(src), dst: dst, edit: &frameScrubber{x, x.didScrub("frame")}}
}

func swapping(x *exchange, src io.Reader, dst io.Writer) *frameCopy {
	return &frameCopy{window: newWindow(src), dst: dst, masked: true, edit: &frameSwapper{x: x, ctx: context.Background(), told: map[toldSwap]bool{}}}
}

// scrubbed is what is to come out for events that a server sent, up to one that may not be sent.
func scrubbed(p *Proxy, in []event) []event {
	var out []event
	for _, e := range in {
		if e.op == opClose && e.payload != "" && (len(e.payload) == 1 || !closeCode(binary.BigEndian.Uint16([]byte(e.payload)))) {
			return out
		}
		head, rest := "", e.payload
		if e.op == opClose && rest != "" {
			head, rest = rest[:2], rest[2:]
		}
		_, found := p.scrubbers().Find([]byte(e.payload))
		if rest = p.scrubbers().String(rest, nil); found && e.op.control() && len(head+rest) > maxControl {
			rest = rest[:maxControl-len(head)]
			for e.op == opClose && !utf8.ValidString(rest) {
				rest = rest[:len(rest)-1]
			}
		}
		if _, found := p.scrubbers().Find([]byte(head + rest)); found && e.op.control() {
			return out
		}
		out = append(out, event{e.op, head + rest})
	}
	return out
}

func sameEvents(t *testing.T, got, want []event) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("event %d of %d, %d wanted: got %.200q\nwant %.200q", i, len(got), len(want), got[min(i, len(got)):], want[min(i, len(want)):])
		}
	}
}

func TestMessagesComeOutScrubbedHoweverTheyAreCut(t *testing.T) {
	t.Parallel()
	p, _ := frameProxy(t)
	long := strings.Repeat("words and ", 20_000)
	for name, parts := range map[string][]any{
		"one frame":                 {opText, "it is " + frameValue + "."},
		"binary":                    {opBinary, "\x00" + frameValue + "\xff"},
		"many":                      {opText, "a", opText, frameValue, opBinary, "", opText, "c" + frameValue + frameValue},
		"over fragments":            {opText, "+it is " + frameValue[:7], opContinuation, "+" + frameValue[7:8], opContinuation, frameValue[8:] + "."},
		"around control frames":     {opText, "+" + frameValue[:7], opPing, "p", opContinuation, "+" + frameValue[7:], opPong, frameValue, opContinuation, ""},
		"long":                      {opText, long + frameValue + long},
		"long, in fragments":        {opBinary, "+" + long + frameValue[:3], opPing, "", opContinuation, "+" + frameValue[3:] + long, opContinuation, long},
		"an unfinished value":       {opText, frameValue[:20], opText, frameValue[20:], opText, "+" + frameValue[:20], opContinuation, "", opText, "x"},
		"at the borders of a whole": {opText, strings.Repeat("x", maxWhole-len(frameValue)) + frameValue, opText, strings.Repeat("x", maxWhole-len(frameValue)+1) + frameValue},
		"escaped":                   {opText, `{"v":"` + strings.ReplaceAll(strings.ReplaceAll(linesValue, `"`, `\"`), "\n", `\n`) + `"}`},
		"nothing":                   {},
	} {
		b := framesOf(false, parts...)
		in, rest := events(b, false)
		if len(rest) > 0 {
			t.Fatal(name)
		}
		for _, n := range []int{1, 2, 7, 70, 1000, 1 << 20} {
			if n < 70 && len(b) > 10_000 {
				continue
			}
			out, err := carry(p, b, n)
			if err != io.EOF {
				t.Errorf("%s: %v", name, err)
			}
			got, rest := events(out, false)
			if len(rest) > 0 || bytes.Contains(out, []byte(frameValue)) {
				t.Errorf("%s, %d bytes a read: left %.50q", name, n, rest)
			}
			sameEvents(t, got, scrubbed(p, in))
		}
	}
}

func TestASmallMessageStaysOneFrame(t *testing.T) {
	t.Parallel()
	p, x := frameProxy(t)
	mask := p.opts.Table.Token("KEY")
	var out bytes.Buffer
	err := scrubbing(x, &inReads{framesOf(false, opText, "it is "+frameValue+".", opBinary, "as it came"), 1 << 20}, &out).run()
	if want := framesOf(false, opText, "it is "+mask+".", opBinary, "as it came"); err != io.EOF || !bytes.Equal(out.Bytes(), want) {
		t.Errorf("%v: %q", err, out.Bytes())
	}
	if len(x.scrubbed) != 1 || x.scrubbed[0].Where != "frame" || x.scrubbed[0].Count != 1 {
		t.Errorf("%+v", x.scrubbed)
	}
}

// link is a frameCopy at work: what is written to in is awaited at out.
type link struct {
	t   *testing.T
	in  *io.PipeWriter
	out chan []byte
}

type sentTo chan []byte

func (c sentTo) Write(p []byte) (int, error) { c <- bytes.Clone(p); return len(p), nil }

func newLink(t *testing.T) *link {
	_, x := frameProxy(t)
	pr, pw := io.Pipe()
	l := &link{t, pw, make(chan []byte, 100)}
	go func() { _ = scrubbing(x, pr, sentTo(l.out)).run() }()
	t.Cleanup(func() { _ = pw.Close() })
	return l
}

// comes sends b and holds that want comes out before anything else is sent.
func (l *link) comes(b, want []byte) {
	l.t.Helper()
	if _, err := l.in.Write(b); err != nil {
		l.t.Fatal(err)
	}
	var got []byte
	for len(got) < len(want) {
		select {
		case p := <-l.out:
			got = append(got, p...)
		case <-time.After(30 * time.Second):
			l.t.Fatalf("held back: %.80q came for %.80q", got, b)
		}
	}
	if !bytes.Equal(got, want) {
		l.t.Fatalf("got %.80q, want %.80q", got, want)
	}
}

func TestNothingWaitsForWhatComesAfterIt(t *testing.T) {
	t.Parallel()
	l := newLink(t)
	for _, parts := range [][]any{{opText, "ends in " + frameValue[:1]}, {opText, frameValue[:20]}, {opPing, "p"}, {opText, ""}, {opText, "+begun "}, {opPing, "between"},
		{opContinuation, "+on "}, {opPong, frameValue[:1]}} {
		b := framesOf(false, parts...)
		l.comes(b, b)
	}
	// Only the last word waits, inside its message, whatever it is.
	l.comes(framesOf(false, opContinuation, "+end "+frameValue[:5]), framesOf(false, opContinuation, "+end "))
	l.comes(framesOf(false, opPing, ""), framesOf(false, opPing, ""))
	l.comes(framesOf(false, opContinuation, "x"), framesOf(false, opContinuation, "+"+frameValue[:5]+"x", opContinuation, ""))
	// Of a long frame, what has come goes on.
	b := framesOf(false, opBinary, strings.Repeat("~ ", 1<<19))
	l.comes(b[:10+100], framesOf(false, opBinary, "+"+strings.Repeat("~ ", 50)))
}

func TestControlFramesAreScrubbedAndKeepTheirForm(t *testing.T) {
	t.Parallel()
	p, _ := frameProxy(t)
	mask := p.opts.Table.Token("KEY")
	code := func(n uint16) string { return string(binary.BigEndian.AppendUint16(nil, n)) }
	for _, c := range []struct {
		op       opcode
		in, want string
	}{
		{opClose, "", ""},
		{opClose, code(1000), code(1000)},
		{opClose, code(1000) + "bye", code(1000) + "bye"},
		{opClose, code(4999) + "for " + frameValue, code(4999) + "for " + mask},
		{opClose, code(3000) + frameValue + strings.Repeat("ä", 50), code(3000) + mask + strings.Repeat("ä", 40)},
		{opClose, code(3000) + strings.Repeat("€", 34) + frameValue, code(3000) + strings.Repeat("€", 34) + mask[:21]},
		{opPing, frameValue, mask},
		{opPong, strings.Repeat("x", 104) + frameValue, strings.Repeat("x", 104) + mask[:21]},
		{opPing, "\xff\xfe", "\xff\xfe"},
	} {
		out, err := carry(p, framesOf(false, c.op, c.in), 1)
		if want := framesOf(false, c.op, c.want); err != io.EOF || !bytes.Equal(out, want) {
			t.Errorf("%q: %v, %q", c.in, err, out)
		}
		if got, _ := events(out, false); c.op == opClose && c.in != "" && !utf8.ValidString(got[0].payload[2:]) {
			t.Errorf("%q: not UTF-8: %q", c.in, got)
		}
	}
}
