package proxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestHeadsOfFramesAreReadAndWritten(t *testing.T) {
	t.Parallel()
	for _, length := range []int64{0, 1, 125, 126, 127, 65535, 65536, 1 << 40, 1<<63 - 1} {
		for _, masked := range []bool{false, true} {
			for _, op := range []opcode{opContinuation, opText, opBinary, opClose, opPing, opPong} {
				h := frameHeader{fin: length != 1 || op.control(), op: op, masked: masked, length: length}
				if masked {
					h.key = [4]byte{1, 2, 3, 4}
				}
				b := appendFrame(nil, h)
				h.size = len(b)
				if op.control() && length > maxControl {
					continue
				}
				for n := range b {
					if _, ok, err := parseFrame(b[:n], masked); ok || err != nil {
						t.Errorf("%x: %d bytes are enough, %v", b, n, err)
					}
				}
				if got, ok, err := parseFrame(append(b, "rest"...), masked); got != h || !ok || err != nil {
					t.Errorf("%x: got %+v, %v, %v, want %+v", b, got, ok, err, h)
				}
			}
		}
	}
}

// badFrames are bytes that a server may not send.
var badFrames = map[string]string{
	"RSV1":                       "\xc1\x00",
	"RSV2":                       "\xa1\x00",
	"RSV3":                       "\x91\x00",
	"opcode 3":                   "\x83\x00",
	"opcode 7":                   "\x87\x00",
	"opcode 11":                  "\x8b\x00",
	"opcode 15":                  "\x8f\x00",
	"a ping of 126 bytes":        "\x89\x7e\x00\x7e",
	"a ping with a long length":  "\x89\x7f\x00\x00\x00\x00\x00\x00\x00\x01",
	"a fragmented ping":          "\x09\x00",
	"a fragmented close":         "\x08\x02\x03\xe8",
	"a masked frame":             "\x81\x81\x00\x00\x00\x00x",
	"top bit of a length":        "\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00",
	"two bytes for a length":     "\x82\x7e\x00\x7d",
	"eight bytes for a length":   "\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff",
	"a continuation of nothing":  "\x80\x01x",
	"a message inside a message": "\x01\x01x\x81\x01y",
	"a close code of one byte":   "\x88\x01\x03",
	"close code 999":             "\x88\x02\x03\xe7",
	"close code 1005":            "\x88\x02\x03\xed",
	"close code 1006":            "\x88\x02\x03\xee",
	"close code 5000":            "\x88\x02\x13\x88",
}

func TestBytesThatAreNoFramesEndTheConnection(t *testing.T) {
	t.Parallel()
	before := "\x81\x05hello"
	for name, bad := range badFrames {
		for _, n := range []int{1, 3, 1 << 20} {
			p, _ := frameProxy(t)
			out, err := carry(p, []byte(before+bad+"\x81\x04seen"), n)
			var framing *framingError
			if !errors.As(err, &framing) {
				t.Errorf("%s, %d bytes a read: %v", name, n, err)
			}
			// What came before the bad frame may have gone, unless a value may begin in it.
			if rest, ok := strings.CutPrefix(string(out), before); !ok || rest != "" && (name != "a message inside a message" || rest != "\x01\x01x") {
				t.Errorf("%s, %d bytes a read: passed %q", name, n, out)
			}
		}
	}
}

func TestMaskingIsUndoneByItselfFromAnyPlace(t *testing.T) {
	t.Parallel()
	key := [4]byte{0xde, 0xad, 0xbe, 0xef}
	text := []byte("a text that is longer than a few words of eight bytes")
	want := bytes.Clone(text)
	for i := range want {
		want[i] ^= key[i%4]
	}
	for cut := range text {
		got := bytes.Clone(text)
		maskFrame(key, 0, got[:cut])
		maskFrame(key, int64(cut), got[cut:])
		if !bytes.Equal(got, want) {
			t.Fatalf("cut at %d: %x", cut, got)
		}
	}
}

// event is what frames say: a whole message, or a control frame.
type event struct {
	op      opcode
	payload string
}

// events reads frames the plain way, until something is wrong or missing. rest is what it did not read.
func events(b []byte, masked bool) (got []event, rest []byte) {
	var op opcode
	var text []byte
	for open := false; ; {
		whole := b
		if len(b) < 2 || b[0]&0x70 != 0 || (b[1] >= 0x80) != masked {
			return got, whole
		}
		fin, this, n := b[0] >= 0x80, opcode(b[0]&15), uint64(b[1]&0x7f)
		b = b[2:]
		switch {
		case n == 126 && len(b) >= 2:
			if n = uint64(binary.BigEndian.Uint16(b)); n < 126 {
				return got, whole
			}
			b = b[2:]
		case n == 127 && len(b) >= 8:
			if n = binary.BigEndian.Uint64(b); n < 1<<16 || n >= 1<<63 {
				return got, whole
			}
			b = b[8:]
		case n >= 126:
			return got, whole
		}
		key := make([]byte, 4)
		if masked {
			if len(b) < 4 {
				return got, whole
			}
			key, b = b[:4], b[4:]
		}
		if uint64(len(b)) < n {
			return got, whole
		}
		payload := bytes.Clone(b[:n])
		for i := range payload {
			payload[i] ^= key[i%4]
		}
		b = b[n:]
		switch this {
		case opClose, opPing, opPong:
			if n > 125 || !fin {
				return got, whole
			}
			got = append(got, event{this, string(payload)})
			continue
		case opText, opBinary:
			if open {
				return got, whole
			}
			op, text = this, nil
		case opContinuation:
			if !open {
				return got, whole
			}
		default:
			return got, whole
		}
		text = append(text, payload...)
		if open = !fin; fin {
			got = append(got, event{op, string(text)})
		}
	}
}

// framesOf makes frames: each is op, payload; a "+" before the payload of a data frame means that more follow.
func framesOf(masked bool, parts ...any) []byte {
	var b []byte
	for i := 0; i < len(parts); i += 2 {
		op, payload := parts[i].(opcode), []byte(fmt.Sprint(parts[i+1]))
		fin := true
		if !op.control() && len(payload) > 0 && payload[0] == '+' {
			fin, payload = false, payload[1:]
		}
		h := frameHeader{fin: fin, op: op, masked: masked, length: int64(len(payload))}
		if masked {
			h.key = [4]byte{9, byte(i), 77, 200}
			maskFrame(h.key, 0, payload)
		}
		b = append(appendFrame(b, h), payload...)
	}
	return b
}
