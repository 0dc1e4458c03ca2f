package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// MaxLine is the longest line that is read.
const MaxLine = 4 << 20

// Report is what is known of a file's chain.
type Report struct {
	Lines      int    // whole lines, good or not
	Incomplete int    // those that kz left incomplete and went on behind
	Chain      string // the hash of the last good line, in hex; "" when there is none
	BadLine    int    // the first line that does not fit, counted from 1; 0: the chain is whole
	Why        string // what is wrong with it
}

// Verify follows the chain of a file from its beginning. Its error is that of reading r.
//
// The end of a file says nothing of lines that were cut off behind it: compare Lines and Chain with what was noted
// elsewhere.
func Verify(r io.Reader) (Report, error) {
	var v verifier
	tail, err := v.run(r)
	if v.cut > 0 {
		v.bad(v.number-v.cut+1, errNoLine.Error())
	}
	if len(tail) > 0 {
		v.bad(v.number+1, "it is incomplete: kz was ended while it wrote it, or writes it now")
	}
	v.report.Chain = v.good.hex()
	return v.report, err
}

// verifier follows a chain.
type verifier struct {
	chain  chain
	good   chain // of the last good line
	report Report
	number int  // of the line that was looked at last
	within bool // what is read begins within a file: the first line that can be one is believed
	cut    int  // how many of the last lines are none, which is well if kz has gone on behind them
}

// run reads all lines and returns what follows the last newline.
func (v *verifier) run(r io.Reader) (tail []byte, err error) {
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := ReadLine(in)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return line, err
		}
		v.number++
		v.line(line)
	}
}

func (v *verifier) line(line []byte) {
	if v.within {
		if _, c, err := sealOf(line); err == nil {
			v.chain, v.within = c, false
			v.report.Lines++
		}
		return
	}
	if v.report.BadLine > 0 {
		v.report.Lines++
		return
	}
	err := v.chain.check(line)
	switch {
	case err == nil:
		v.report.Lines++
		v.report.Incomplete += v.cut
		v.good, v.cut = v.chain, 0
	case errors.Is(err, errNoLine):
		v.chain.skip(line)
		v.cut++
	case v.cut > 0: // the line would fit if kz had gone on behind them
		v.bad(v.number-v.cut, errNoLine.Error())
	default:
		v.report.Lines++
		v.bad(v.number, err.Error())
	}
}

// bad notes the first line that does not fit.
func (v *verifier) bad(number int, why string) {
	if v.report.BadLine == 0 {
		v.report.BadLine, v.report.Why = number, why
	}
}

// ErrLongLine is a line over MaxLine.
var ErrLongLine = fmt.Errorf("audit: a line is longer than %d MiB", MaxLine>>20)

// ReadLine reads up to the next newline, which it leaves out. At the end of what is there it returns what follows the last
// newline, and io.EOF.
func ReadLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) > MaxLine {
			return nil, ErrLongLine
		}
		switch {
		case err == nil && line == nil:
			return bytes.Clone(part[:len(part)-1]), nil
		case err == nil:
			return append(line, part[:len(part)-1]...), nil
		}
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}
