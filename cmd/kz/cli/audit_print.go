package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"kz/proxy/audit"
)

// auditLine is one line of an audit, and its bytes.
type auditLine struct {
	audit.Event
	raw []byte
}

// readAudit gives each line of a file to f and counts those that are none. A file may have no end: that of ctx is one, too.
func readAudit(ctx context.Context, path string, f func(auditLine) error) (bad int, err error) {
	file, err := openAudit(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	in := bufio.NewReaderSize(untilDone{ctx, file}, 64<<10)
	for {
		raw, err := audit.ReadLine(in)
		if errors.Is(err, io.EOF) {
			return bad, nil // what follows the last newline is not whole
		}
		if err != nil {
			return bad, fmt.Errorf("reading the audit %s: %w", path, err)
		}
		l, ok := parseAuditLine(raw)
		if !ok {
			bad++
			continue
		}
		if err := f(l); err != nil {
			return bad, err
		}
	}
}

// openAudit opens a file. Anything else would be waited for, or have no end.
func openAudit(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, withHint(fmt.Errorf("reading the audit: %w", err), "check the path; `kz audit` without one shows the last session")
	}
	if err != nil {
		return nil, fmt.Errorf("reading the audit: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, withHint(fmt.Errorf("reading the audit: %s is not a regular file", path), "name the file that kz wrote; of what a pipe or another program gives, make a file first")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the audit: %w", err)
	}
	return file, nil
}

// untilDone is a reader that ends with ctx.
type untilDone struct {
	ctx context.Context //nolint:containedctx // of one read
	r   io.Reader
}

// Read implements io.Reader.
func (u untilDone) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.r.Read(p)
}

func parseAuditLine(raw []byte) (l auditLine, ok bool) {
	l.raw = raw
	return l, json.Unmarshal(raw, &l.Event) == nil
}

// lastSession is whose line is the last.
func lastSession(ctx context.Context, path string) (id string, err error) {
	_, err = readAudit(ctx, path, func(l auditLine) error { id = l.Session; return nil })
	return id, err
}

// auditPrinter prints lines, with a heading where a session begins. Whatever a file holds, only printable text goes out.
type auditPrinter struct {
	w    io.Writer
	json bool
	zone *time.Location
	last string // the session of the line before

	table *auditTable // on a terminal; nil elsewhere
}

const auditColumns = "%-8s  %-36s  %-28s  %-6s  %-24s  %-24s  %s\n"

func (p *auditPrinter) print(path string, l auditLine) error {
	if p.json {
		_, err := fmt.Fprintf(p.w, "%s\n", printableJSON(l.raw))
		return err
	}
	if p.table != nil {
		_, err := io.WriteString(p.w, p.table.rows(path, l))
		return err
	}
	if l.Session != p.last {
		gap := "\n"
		if p.last == "" {
			gap = ""
		}
		p.last = l.Session
		head := fmt.Sprintf(auditColumns, "TIME", "WHAT", "HOST", "STATUS", "SWAPPED", "WITHHELD", "CODE")
		if _, err := fmt.Fprintf(p.w, "%ssession %s, %s, %s\n%s", gap, oneLine(l.Session), l.Time.In(p.zone).Format(time.DateOnly), oneLine(path), head); err != nil {
			return err
		}
	}
	line := fmt.Sprintf(auditColumns, l.Time.In(p.zone).Format(time.TimeOnly), oneLine(what(l.Event)), oneLine(hostOf(l.Event)), orNone(status(l.Status)),
		oneLine(orNone(swappedOf(l.Event))), oneLine(orNone(withheldOf(l.Event))), oneLine(orNone(codeOf(l.Event))))
	_, err := io.WriteString(p.w, strings.TrimRight(line, " \n")+"\n")
	return err
}

func what(e audit.Event) string {
	if e.Kind == audit.Tunnel {
		return "tunnel"
	}
	return strings.TrimSpace(e.Method + " " + e.Path)
}

func hostOf(e audit.Event) string {
	if e.Port == 443 || e.Port == 0 {
		return e.Host
	}
	return e.Host + ":" + strconv.Itoa(e.Port)
}

func status(code int) string {
	if code == 0 {
		return ""
	}
	return strconv.Itoa(code)
}

func swappedOf(e audit.Event) string {
	var out []string
	for _, s := range e.Swapped {
		out = append(out, s.Secret+" "+s.Place)
	}
	return strings.Join(out, ", ")
}

func withheldOf(e audit.Event) string {
	var out []string
	for _, w := range e.Withheld {
		out = append(out, strings.TrimSpace(w.Secret+" "+w.Place))
	}
	return strings.Join(out, ", ")
}

// codeOf says why, where there is a code or something went wrong.
func codeOf(e audit.Event) string {
	if e.Code != "" || e.Kind == audit.Tunnel {
		return e.Code
	}
	return e.Reason
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// oneLine is printable, without line breaks and tabs too.
func oneLine(s string) string {
	return strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(printable(s))
}

// printableJSON escapes, in a line of JSON, what is not printable. Outside of strings only white space can be that.
func printableJSON(line []byte) string {
	var b strings.Builder
	for len(line) > 0 {
		r, n := utf8.DecodeRune(line)
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\ufffd`)
		case r < ' ':
			b.WriteByte(' ')
		case unicode.IsPrint(r):
			b.Write(line[:n])
		default:
			for _, u := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, `\u%04x`, u)
			}
		}
		line = line[n:]
	}
	return b.String()
}
