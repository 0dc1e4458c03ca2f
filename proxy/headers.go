package proxy

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"kz/masking"
	"kz/proxy/policy"
)

// judgeHeaders finds the masks of the header, also inside Basic authorization.
func (x *exchange) judgeHeaders(h http.Header) *refusal {
	for name, values := range h {
		if strings.IndexByte(name, '_') >= 0 {
			if hit, ok := x.p.opts.Table.NextString(strings.ToLower(name), 0); ok {
				if _, _, ref := x.judge(hit.Name, policy.Site{Kind: policy.InHeader, Name: "a header's name"}); ref != nil {
					return ref
				}
			}
		}
		for i, v := range values {
			if ref := x.judgeHeader(h, name, i, v); ref != nil {
				return ref
			}
		}
	}
	return nil
}

func (x *exchange) judgeHeader(h http.Header, name string, i int, v string) *refusal {
	of := len(h[name])
	if name == "Authorization" {
		if user, password, ok := parseBasic(v); ok {
			return x.judgeBasic(i, user, password, of)
		}
	}
	table := x.p.opts.Table
	hit, ok := table.NextString(v, 0)
	if !ok {
		return x.judgeSpelledHeader(name, v)
	}
	signed := signaturesOf(h)
	mine := len(x.edits)
	for ; ok; hit, ok = table.NextString(v, hit.End) {
		whole := wholeHeader(v, hit)
		d, swap, ref := x.judge(hit.Name, policy.Site{Kind: policy.InHeader, Name: name, Whole: whole})
		scheme := signed.header(name)
		if s, is := signedScheme(v); is && name == "Authorization" && !whole {
			scheme = s
		}
		if ref = x.unlessSigned(hit.Name, scheme, swap, ref); ref != nil {
			return ref
		}
		if !swap {
			continue
		}
		if !whole && takesIn([]byte(v[:hit.Start])) {
			return x.takenIn(hit.Name, "the header "+name)
		}
		if of > 1 {
			return x.ambiguous(hit.Name, "the header "+name+" occurs more than once")
		}
		if slices.ContainsFunc(x.edits[mine:], func(e edit) bool { return e.secret == hit.Name }) {
			return x.ambiguous(hit.Name, "the header "+name+" holds the mask more than once")
		}
		x.edits = append(x.edits, x.headerEdit(name, i, v, hit, d.Place))
	}
	return nil
}

// headerEdit replaces the one occurrence of token. Another secret's value, put in before it, cannot hold the token:
// values that hold a mask are not taken.
func (x *exchange) headerEdit(name string, i int, v string, hit masking.Hit, place policy.Place) edit {
	token, quoted := v[hit.Start:hit.End], inQuotes(v[:hit.Start])
	return edit{hit.Name, place, func(r *http.Request, value string) *refusal {
		value = trimNewline(value)
		if !httpguts.ValidHeaderFieldValue(value) || value != strings.Trim(value, " \t") {
			return unfit("a header: it has line breaks, control bytes or outer spaces")
		}
		if quoted && strings.ContainsAny(value, `"\`) {
			return unfit("a quoted string of a header")
		}
		h := slices.Clone(r.Header[name])
		h[i] = strings.Replace(h[i], token, value, 1)
		r.Header[name] = h
		return nil
	}}
}

// inQuotes reports whether a quoted string is open at the end of before (RFC 9110, section 5.6.4).
func inQuotes(before string) bool {
	open := false
	for i := 0; i < len(before); i++ {
		switch {
		case before[i] == '"':
			open = !open
		case before[i] == '\\' && open:
			i++
		}
	}
	return open
}

// wholeHeader reports whether the mask is the whole of v, or all that follows a scheme and one space.
func wholeHeader(v string, hit masking.Hit) bool {
	if hit.End != len(v) {
		return false
	}
	if hit.Start == 0 {
		return true
	}
	scheme, ok := strings.CutSuffix(v[:hit.Start], " ")
	return ok && httpguts.ValidHeaderFieldName(scheme)
}

// parseBasic decodes Authorization: Basic. Credentials that are not canonical base64 are not Basic to kz.
func parseBasic(v string) (user, password string, ok bool) {
	scheme, encoded, found := strings.Cut(v, " ")
	if !found || !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	encoded = strings.TrimLeft(encoded, " ")
	decoded, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return "", "", false
	}
	user, password, ok = strings.Cut(string(decoded), ":")
	return user, password, ok
}

// judgeBasic finds masks in the decoded user and password.
func (x *exchange) judgeBasic(i int, user, password string, of int) *refusal {
	for part, s := range [2]string{user, password} {
		hit, ok := x.p.opts.Table.NextString(s, 0)
		if !ok {
			continue
		}
		d, swap, ref := x.judge(hit.Name, policy.Site{Kind: policy.InBasic, Whole: hit.Start == 0 && hit.End == len(s)})
		if ref != nil {
			return ref
		}
		if !swap {
			continue
		}
		if of > 1 {
			return x.ambiguous(hit.Name, "the header Authorization occurs more than once")
		}
		x.edits = append(x.edits, edit{hit.Name, d.Place, func(r *http.Request, value string) *refusal {
			value = trimNewline(value)
			if hasControl(value) || part == 0 && strings.Contains(value, ":") {
				return unfit("Basic authorization")
			}
			h := slices.Clone(r.Header["Authorization"])
			// An edit of the other part may have come first.
			u, p, _ := parseBasic(h[i])
			if part == 0 {
				u = value
			} else {
				p = value
			}
			h[i] = "Basic " + base64.StdEncoding.EncodeToString([]byte(u+":"+p))
			r.Header["Authorization"] = h
			return nil
		}})
	}
	return nil
}

// trimNewline drops one line break from the end, LF or CR LF: just what the scrubber leaves aside when it looks for the value.
func trimNewline(s string) string {
	if t, ok := strings.CutSuffix(s, "\n"); ok {
		return strings.TrimSuffix(t, "\r")
	}
	return s
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}

// unescapePercent decodes the valid percent escapes of s and leaves the rest.
func unescapePercent(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi >= 0 && lo >= 0 {
				b.WriteByte(byte(hi<<4 | lo))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// dropped are the request headers that never go on: those of the hop, and those that ask for answers which cannot be
// scrubbed (RFC 9110, section 7.6.1; RFC 3229; RFC 9530).
var dropped = []string{"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade", "Http2-Settings", "A-Im", "Want-Digest", "Want-Content-Digest", "Want-Repr-Digest", "Max-Forwards",
	"Grpc-Accept-Encoding", "Connect-Accept-Encoding"}

// cleanRequest takes out what belongs to the client's connection and narrows what the upstream may answer with.
func cleanRequest(r *http.Request, scope *destination) {
	h := r.Header
	websocket := isUpgrade(h) && r.ProtoMajor == 1 && r.Method == http.MethodGet && r.ContentLength == 0
	trailers := httpguts.HeaderValuesContainsToken(h["Te"], "trailers")
	for _, v := range h["Connection"] {
		for name := range strings.SplitSeq(v, ",") {
			if name = strings.TrimSpace(name); !keptByConnection(name) {
				h.Del(name)
			}
		}
	}
	for _, name := range dropped {
		delete(h, name)
	}
	if websocket {
		h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
		delete(h, "Sec-Websocket-Extensions") // frames must stay readable
	}
	if trailers {
		h["Te"] = []string{"trailers"}
	}
	if !scope.Ranges {
		delete(h, "Range")
		delete(h, "If-Range")
	}
	narrowEncodings(h)
	narrowCharsets(h)
	if _, ok := h["Accept-Encoding"]; ok && len(h["Range"]) > 0 {
		h["Accept-Encoding"] = []string{"identity"} // a part of a coded body cannot be decoded
	}
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = []string{""} // none, rather than Go's
	}
	r.Close = false
}

// keptByConnection holds the headers that a client may not have taken out by naming them in Connection: without them
// the request would mean something else.
func keptByConnection(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "", "Close", "Host", "Authorization", "Content-Length", "Content-Type", "Content-Encoding", "Cookie":
		return true
	}
	return false
}

// isUpgrade reports whether h asks for, or agrees to, WebSocket.
func isUpgrade(h http.Header) bool {
	return httpguts.HeaderValuesContainsToken(h["Connection"], "upgrade") && len(h["Upgrade"]) == 1 && strings.EqualFold(h["Upgrade"][0], "websocket")
}

// narrowEncodings leaves of Accept-Encoding what the scrubber can decode; nothing is ever added.
func narrowEncodings(h http.Header) {
	values, ok := h["Accept-Encoding"]
	if !ok {
		return
	}
	var kept []string
	for _, v := range values {
		for item := range strings.SplitSeq(v, ",") {
			name, _, _ := strings.Cut(item, ";")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "gzip", "x-gzip", "deflate", "br", "zstd", "identity":
				kept = append(kept, strings.TrimSpace(item))
			}
		}
	}
	if len(kept) == 0 {
		kept = []string{"identity"}
	}
	h["Accept-Encoding"] = []string{strings.Join(kept, ", ")}
}

// narrowCharsets leaves of Accept-Charset those in which values are looked for. In others, as those of EBCDIC, they look different.
func narrowCharsets(h http.Header) {
	values, ok := h["Accept-Charset"]
	if !ok {
		return
	}
	var kept []string
	for item := range strings.SplitSeq(strings.Join(values, ","), ",") {
		name, _, _ := strings.Cut(item, ";")
		if plainCharset(strings.TrimSpace(name)) {
			kept = append(kept, strings.TrimSpace(item))
		}
	}
	if len(kept) == 0 {
		delete(h, "Accept-Charset")
		return
	}
	h["Accept-Charset"] = []string{strings.Join(kept, ", ")}
}
