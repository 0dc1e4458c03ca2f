package proxy

import "encoding/binary"

// opcode is what a WebSocket frame carries (RFC 6455, section 5.2).
type opcode byte

const (
	opContinuation opcode = 0x0
	opText         opcode = 0x1
	opBinary       opcode = 0x2
	opClose        opcode = 0x8
	opPing         opcode = 0x9
	opPong         opcode = 0xA
)

func (op opcode) control() bool { return op >= opClose }

const (
	maxFrameHeader = 14  // two bytes, a length of eight, a key of four
	maxControl     = 125 // the payload of a control frame (RFC 6455, section 5.5)
)

// framingError says why bytes are not WebSocket frames, or not in an order that makes messages.
type framingError struct{ why string }

func (e *framingError) Error() string { return "proxy: reading WebSocket frames: " + e.why }

// frameHeader is the head of one frame.
type frameHeader struct {
	fin    bool
	op     opcode
	masked bool
	key    [4]byte
	length int64 // of the payload
	size   int   // of the head itself
}

// parseFrame reads the head at the beginning of b, of a frame that no extension has changed. ok is false while more
// bytes are needed. What can be told from the first two bytes is told from them.
func parseFrame(b []byte, masked bool) (h frameHeader, ok bool, err error) {
	if len(b) < 2 {
		return h, false, nil
	}
	h = frameHeader{fin: b[0]&0x80 != 0, op: opcode(b[0] & 0x0f), masked: b[1]&0x80 != 0, length: int64(b[1] & 0x7f), size: 2}
	switch {
	case b[0]&0x70 != 0:
		return h, false, &framingError{"a reserved bit is set"}
	case h.op > opPong || h.op > opBinary && h.op < opClose:
		return h, false, &framingError{"the opcode is a reserved one"}
	case h.op.control() && !h.fin:
		return h, false, &framingError{"a control frame is fragmented"}
	case h.op.control() && h.length > maxControl:
		return h, false, &framingError{"a control frame is longer than 125 bytes"}
	case h.masked && !masked:
		return h, false, &framingError{"a frame of a server is masked"}
	case !h.masked && masked:
		return h, false, &framingError{"a frame of a client is not masked"}
	}
	least := int64(0)
	switch h.length {
	case 126:
		h.size, least = 4, 126
	case 127:
		h.size, least = 10, 1<<16
	}
	at := h.size
	if masked {
		h.size += 4
	}
	if len(b) < h.size {
		return h, false, nil
	}
	switch at {
	case 4:
		h.length = int64(binary.BigEndian.Uint16(b[2:]))
	case 10:
		h.length = int64(binary.BigEndian.Uint64(b[2:]))
	}
	if h.length < least { // less than nothing when the top bit is set
		return h, false, &framingError{"a length is not in its shortest form, or has its top bit set"}
	}
	if masked {
		h.key = [4]byte(b[at:])
	}
	return h, true, nil
}

// appendFrame appends the head of a frame; size is not looked at.
func appendFrame(b []byte, h frameHeader) []byte {
	first, second := byte(h.op), byte(0)
	if h.fin {
		first |= 0x80
	}
	if h.masked {
		second = 0x80
	}
	switch {
	case h.length < 126:
		b = append(b, first, second|byte(h.length))
	case h.length < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, first, second|126), uint16(h.length))
	default:
		b = binary.BigEndian.AppendUint64(append(b, first, second|127), uint64(h.length))
	}
	if h.masked {
		b = append(b, h.key[:]...)
	}
	return b
}

// maskFrame masks p, or unmasks it, in place; at is how many bytes of the payload came before (RFC 6455, section 5.3).
func maskFrame(key [4]byte, at int64, p []byte) {
	var long [8]byte
	for i := range long {
		long[i] = key[(at+int64(i))&3]
	}
	word := binary.LittleEndian.Uint64(long[:])
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^word)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= long[i]
	}
}
