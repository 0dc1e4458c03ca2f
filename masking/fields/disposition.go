package fields

import "bytes"

// readPartHeader reads the header lines of a part, each ended by CRLF. It
// returns every reading of the part's name that it knows; editable says that
// there is one only, and that nothing else in the header forbids an edit. ok is
// false where receivers may see the header end elsewhere.
func readPartHeader(lines []byte) (names [][]byte, editable, ok bool) {
	var dispositions, types, encodings int
	editable = true
	for len(lines) > 0 {
		line, rest, _ := bytes.Cut(lines, []byte("\r\n"))
		lines = rest
		for _, c := range line {
			if c == '\r' || c == '\n' {
				return nil, false, false
			}
			if c < ' ' && c != '\t' || c == 0x7f {
				editable = false
			}
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.Trim(value, " \t")
		switch {
		case equalFold(name, "content-disposition"):
			dispositions++
			read, plain := readDisposition(value)
			names = append(names, read...)
			editable = editable && plain
		case equalFold(name, "content-type"):
			types++
			value = bytes.ToLower(value)
			if bytes.Contains(value, []byte("multipart")) || bytes.Contains(value, []byte("message")) || !plainCharset(value) {
				editable = false
			}
		case equalFold(name, "content-transfer-encoding"):
			encodings++
			if !equalFold(value, "7bit") && !equalFold(value, "8bit") && !equalFold(value, "binary") {
				editable = false
			}
		default: // a folded line too
			editable = false
		}
	}
	return names, editable && dispositions == 1 && types < 2 && encodings < 2, true
}

// readDisposition reads the value of a Content-Disposition. plain says that it
// is form-data; name="x" and nothing else, and that x has one reading.
func readDisposition(v []byte) (names [][]byte, plain bool) {
	kind, v := cutAny(v, "; \t")
	plain = equalFold(kind, "form-data")
	params := 0
	for {
		v = bytes.TrimLeft(v, " \t")
		if len(v) == 0 {
			return names, plain && params == 1
		}
		if v[0] != ';' {
			return names, false
		}
		var attr, value []byte
		attr, v = cutAny(bytes.TrimLeft(v[1:], " \t"), "=; \t\"")
		if len(v) == 0 || v[0] != '=' {
			return names, false
		}
		params++
		value, v = cutValue(v[1:])
		if !equalFold(attr, "name") {
			plain = false
			continue
		}
		read, one := nameReadings(value)
		names = append(names, read...)
		plain = plain && one
	}
}

// cutValue splits v behind the token or quoted string that it begins with. A
// string without end is all of v.
func cutValue(v []byte) (value, rest []byte) {
	if len(v) == 0 || v[0] != '"' {
		return cutAny(v, "; \t")
	}
	for i := 1; i < len(v); i++ {
		switch v[i] {
		case '\\':
			i++
		case '"':
			return v[:i+1], v[i+1:]
		}
	}
	return v, nil
}

// nameReadings returns what receivers may read in the value of name=; one says
// that all read the same. RFC 822 escapes a quote with a backslash; browsers
// write a backslash as it is and a quote as %22 (WHATWG HTML, multipart/form-data
// encoding algorithm), and not every receiver decodes either.
func nameReadings(value []byte) (names [][]byte, one bool) {
	n := len(value)
	if n == 0 || value[0] != '"' {
		for _, c := range value {
			if !('0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' || c == '-' || c == '.') {
				return [][]byte{value}, false
			}
		}
		return [][]byte{value}, n > 0
	}
	if n < 2 || value[n-1] != '"' {
		return nil, false
	}
	raw := value[1 : n-1]
	if bytes.IndexByte(raw, '\\') >= 0 {
		return [][]byte{raw, unquote(raw)}, false
	}
	return [][]byte{raw}, bytes.IndexByte(raw, '%') < 0
}

// unquote returns s without the backslash of each pair.
func unquote(s []byte) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		out = append(out, s[i])
	}
	return out
}

// cutAny splits v before the first of chars.
func cutAny(v []byte, chars string) (before, from []byte) {
	if i := bytes.IndexAny(v, chars); i >= 0 {
		return v[:i], v[i:]
	}
	return v, nil
}

// equalFold reports whether b is lower, ASCII case aside. Unlike
// [bytes.EqualFold] it does not take U+017F for an s.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// plainCharset reports whether a part of this Content-Type, in lower case, is read as UTF-8 or as bytes. In another charset,
// UTF-16 say, a receiver reads another text than was put there.
func plainCharset(contentType []byte) bool {
	_, charset, named := bytes.Cut(contentType, []byte("charset"))
	if !named {
		return true
	}
	charset, ok := bytes.CutPrefix(charset, []byte("="))
	ok = ok && !bytes.Contains(charset, []byte("charset"))
	charset, _ = cutAny(bytes.Trim(charset, `"`), `"; `)
	switch string(charset) {
	case "utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin1":
		return ok
	}
	return false
}
