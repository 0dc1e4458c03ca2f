package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
)

// chain joins the lines of one file. Each line ends with its number and a hash:
//
//	…,"seq":7,"chain":"64 hexadecimal digits"}
//
// The hash is SHA-256 over the hash of the line before (32 bytes; zeros before the first) and the bytes of the line up to
// the comma before "chain". What kz left incomplete, when it was killed or the disk was full, is no line and has no number,
// but the next hash is made over it as if it were one.
//
// There is no key, so that a chain proves nothing against who can write the file: it can be made anew from any line on, and
// its end can be cut off. It shows every other change, and its last hash, kept elsewhere, shows those too.
type chain struct {
	seq uint64
	sum [sha256.Size]byte
}

const (
	seqName   = `,"seq":`
	chainName = `,"chain":"`
	chainEnd  = `"}`
	sealLen   = len(chainName) + 2*sha256.Size + len(chainEnd)
)

// over is the hash of text behind this chain.
func (c *chain) over(text []byte) [sha256.Size]byte {
	h := sha256.New()
	_, _ = h.Write(c.sum[:]) // a hash takes everything
	_, _ = h.Write(text)
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	return sum
}

// seal completes a line that lacks its closing brace, and goes on behind it.
func (c *chain) seal(line []byte) []byte {
	c.seq++
	line = strconv.AppendUint(append(line, seqName...), c.seq, 10)
	c.sum = c.over(line)
	line = append(line, chainName...)
	line = hex.AppendEncode(line, c.sum[:])
	return append(line, chainEnd+"\n"...)
}

// skip goes on behind an incomplete line.
func (c *chain) skip(line []byte) { c.sum = c.over(line) }

// errNoLine says that a text is no sealed line; an incomplete one is that.
var errNoLine = errors.New("it is no whole line of an audit")

// sealOf takes the number and the hash from a line without its newline. body is what the hash is over.
func sealOf(line []byte) (body []byte, c chain, err error) {
	at := len(line) - sealLen
	if at < 0 || !bytes.HasPrefix(line[at:], []byte(chainName)) || !bytes.HasSuffix(line, []byte(chainEnd)) {
		return nil, c, errNoLine
	}
	digits := line[at+len(chainName) : len(line)-len(chainEnd)]
	if _, err := hex.Decode(c.sum[:], digits); err != nil || !bytes.Equal(digits, bytes.ToLower(digits)) {
		return nil, c, errNoLine
	}
	body = line[:at]
	name := bytes.LastIndex(body, []byte(seqName))
	if name < 0 {
		return nil, c, errNoLine
	}
	number := body[name+len(seqName):]
	if c.seq, err = strconv.ParseUint(string(number), 10, 64); err != nil || body[0] != '{' || c.seq == 0 {
		return nil, c, errNoLine
	}
	return body, c, nil
}

// check reads one line without its newline and goes on behind it. On an error the chain stays where it was.
func (c *chain) check(line []byte) error {
	body, told, err := sealOf(line)
	if err != nil {
		return err
	}
	want := c.seq + 1
	fits := c.over(body) == told.sum
	switch {
	case told.seq == want && fits:
		*c = told
		return nil
	case told.seq > want && c.seq == 0:
		return fmt.Errorf("it says it is number %d: what stood before it is missing", told.seq)
	case told.seq > want:
		return fmt.Errorf("it says it is number %d and comes after number %d: what stood between is missing", told.seq, c.seq)
	case told.seq == 1 && want > 1:
		return errors.New("another chain begins here")
	case told.seq < want:
		return fmt.Errorf("it says it is number %d and comes after number %d", told.seq, c.seq)
	}
	return errors.New("its hash does not fit: it was changed, or what stood before it")
}

// hex is the last hash; "" when there is no line.
func (c *chain) hex() string {
	if c.seq == 0 {
		return ""
	}
	return hex.EncodeToString(c.sum[:])
}
