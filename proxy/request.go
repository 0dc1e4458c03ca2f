package proxy

import (
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"kz/masking"
	"kz/proxy/policy"
)

// edit is one decided swap in the head of a request: apply puts the value into its place. Nothing is fetched or changed
// before every mask of the head has been judged.
type edit struct {
	secret string
	place  policy.Place
	apply  func(r *http.Request, value string) *refusal
}

// prepare judges every mask in r, fetches the values of those that may pass, and puts them into r. A refusal leaves
// nothing sent.
func (x *exchange) prepare(r *http.Request) *refusal {
	// First, so that no mask is judged in a header that does not go on.
	cleanRequest(r, x.scope)
	if m := overridden(r.Header); m != "" {
		return methodRefusal(m, x.scope.Authority)
	}
	if ref := x.judgeHeaders(r.Header); ref != nil {
		return ref
	}
	if ref := x.judgeURL(r.URL, r.Header); ref != nil {
		return ref
	}
	x.cleanTrailers(r)
	if ref := x.applyEdits(r); ref != nil {
		return ref
	}
	if ref := x.prepareBody(r); ref != nil {
		return ref
	}
	if len(r.Trailer) > 0 && r.ContentLength > 0 {
		// HTTP/1.1 has no trailers behind a body of known length, where h2 has.
		r.ContentLength = -1
	}
	return nil
}

func (x *exchange) applyEdits(r *http.Request) *refusal {
	if len(x.edits) == 0 {
		return nil
	}
	if x.p.opts.Rejected != nil {
		x.unedited = &head{maps.Clone(r.Header), *r.URL}
	}
	return x.edit(r)
}

// edit puts the values into r.
func (x *exchange) edit(r *http.Request) *refusal {
	defer x.turn.endAfter(storePatience)()
	for _, e := range x.edits {
		value, ref := x.value(r.Context(), e.secret)
		if ref != nil {
			return ref.about("", x.scope.Authority)
		}
		if ref := e.apply(r, value); ref != nil {
			return ref.about(e.secret, x.scope.Authority)
		}
	}
	for _, e := range x.edits {
		x.didSwap(e.secret, e.place.String())
	}
	return nil
}

// head is what of a request an edit changes, as it was.
type head struct {
	header http.Header
	url    url.URL
}

// judge asks policy about one mask and notes the answer. It reports whether the mask is to be swapped.
func (x *exchange) judge(secret string, at policy.Site) (policy.Decision, bool, *refusal) {
	d := x.scope.Judge(secret, at)
	switch d.Verdict {
	case policy.Swap:
		return d, true, nil
	case policy.Refuse:
		host := x.scope.name
		return d, false, &refusal{Code: d.Code, Secret: secret, Host: host, Hint: d.Hint, Message: "request to " + host + ": " + d.Reason}
	}
	if secret != "" {
		x.didWithhold(secret, siteName(at), d.Reason)
	}
	return d, false, nil
}

// siteName is how the audit names a place where a mask was withheld.
func siteName(at policy.Site) string {
	if e := at.Entry(); e != "" {
		return e
	}
	return "url"
}

func (x *exchange) ambiguous(secret, what string) *refusal {
	host := x.scope.name
	return &refusal{Code: policy.RequestInvalid, Secret: secret, Host: host, Message: "request to " + host + ": " + what + ", with a mask in it; which one counts is ambiguous",
		Hint: "send it once"}
}

// judgeURL finds the masks of the path and the query, as they are and percent-encoded.
func (x *exchange) judgeURL(u *url.URL, h http.Header) *refusal {
	path := rawPath(u)
	if !mayHoldMask(path) && !mayHoldMask(u.RawQuery) {
		x.noteSpelledURL(path)
		x.noteSpelledURL(u.RawQuery)
		return nil
	}
	signed := signaturesOf(h)
	scheme := signed.inURL(u.RawQuery)
	for i, segment := range strings.Split(path, "/") {
		if ref := x.judgeSegment(i, segment, scheme); ref != nil {
			return ref
		}
	}
	return x.judgeQuery(u.RawQuery, scheme)
}

// rawPath is the path as it is sent.
func rawPath(u *url.URL) string {
	if u.Opaque != "" {
		return u.Opaque
	}
	return u.EscapedPath()
}

// setRawPath makes raw the path as it is sent. In Opaque, where net/url takes any spelling, two slashes at the start would
// make an authority of what follows them: such a path is sent with its odd bytes escaped.
func setRawPath(u *url.URL, raw string) {
	if path, err := url.PathUnescape(raw); err == nil {
		u.Path, u.RawPath, u.Opaque = path, raw, ""
	}
	if u.EscapedPath() != raw && !strings.HasPrefix(raw, "//") {
		u.Opaque = raw
	}
}

// mayHoldMask is a cheap test: a mask stands in s, or something percent-encoded does.
func mayHoldMask(s string) bool {
	return strings.Contains(s, masking.Prefix) || strings.IndexByte(s, '%') >= 0
}

func (x *exchange) judgeSegment(i int, segment, scheme string) *refusal {
	decoded, err := url.PathUnescape(segment)
	if err != nil {
		decoded = segment
	}
	hit, ok := x.p.opts.Table.NextString(decoded, 0)
	if !ok {
		return nil
	}
	d, swap, ref := x.judge(hit.Name, policy.Site{Kind: policy.InPath, Whole: hit.Start == 0 && hit.End == len(decoded)})
	if ref = x.unlessSigned(hit.Name, scheme, swap, ref); !swap || ref != nil {
		return ref
	}
	if _, again := x.p.opts.Table.NextString(decoded, hit.End); again {
		return x.ambiguous(hit.Name, "a path segment holds several masks")
	}
	if takesIn([]byte(decoded[:hit.Start])) {
		return x.takenIn(hit.Name, "the path")
	}
	x.edits = append(x.edits, edit{hit.Name, d.Place, func(r *http.Request, value string) *refusal {
		if !oneSegment(decoded[:hit.Start] + value + decoded[hit.End:]) {
			return unfit("a path segment")
		}
		segments := strings.Split(rawPath(r.URL), "/")
		segments[i] = escapeAround(segment, decoded, hit, value, url.PathEscape)
		setRawPath(r.URL, strings.Join(segments, "/"))
		return nil
	}})
	return nil
}

// oneSegment reports whether s is a segment of a path to every receiver: not for those that decode an escaped slash, take a
// backslash for one, or leave out what follows a semicolon, may it be empty or one of those that lead elsewhere.
func oneSegment(s string) bool {
	if s == "" {
		return false
	}
	for part := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == '/' || r == '\\' }) {
		if part, _, _ = strings.Cut(part, ";"); part == "." || part == ".." {
			return false
		}
	}
	return true
}

// escapeAround puts the escaped value into raw in the place of the mask, leaving the rest of raw as it was spelled where
// the mask itself was not escaped.
func escapeAround(raw, decoded string, hit masking.Hit, value string, escape func(string) string) string {
	token := decoded[hit.Start:hit.End]
	if strings.Count(raw, token) == 1 {
		return strings.Replace(raw, token, escape(value), 1)
	}
	return escape(decoded[:hit.Start] + value + decoded[hit.End:])
}

func (x *exchange) judgeQuery(query, scheme string) *refusal {
	params := strings.Split(query, "&")
	// Some receivers end a parameter at a semicolon too.
	names := make(map[string]int, len(params))
	for p := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' }) {
		names[paramName(p)]++
	}
	for i, p := range params {
		rawName, rawValue, _ := strings.Cut(p, "=")
		name := paramName(p)
		if hit, ok := x.p.opts.Table.NextString(rawName+"\x00"+name, 0); ok {
			if _, _, ref := x.judge(hit.Name, policy.Site{Kind: policy.InURL}); ref != nil {
				return ref
			}
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			value = unescapePercent(rawValue)
		}
		hit, ok := x.p.opts.Table.NextString(value, 0)
		if !ok {
			continue
		}
		d, swap, ref := x.judge(hit.Name, policy.Site{Kind: policy.InQuery, Name: name, Whole: hit.Start == 0 && hit.End == len(value)})
		if ref = x.unlessSigned(hit.Name, scheme, swap, ref); ref != nil {
			return ref
		}
		if !swap {
			continue
		}
		if _, again := x.p.opts.Table.NextString(value, hit.End); again || names[name] > 1 {
			return x.ambiguous(hit.Name, "a query parameter occurs more than once")
		}
		if err != nil {
			return x.ambiguous(hit.Name, "a query parameter holds an escape that is none")
		}
		if strings.Contains(rawValue, ";") {
			return x.ambiguous(hit.Name, "a query parameter holds a semicolon, at which some receivers begin another")
		}
		if takesIn([]byte(value[:hit.Start])) {
			return x.takenIn(hit.Name, "the query parameter "+strconv.Quote(name))
		}
		x.edits = append(x.edits, edit{hit.Name, d.Place, func(r *http.Request, v string) *refusal {
			params := strings.Split(r.URL.RawQuery, "&")
			params[i] = rawName + "=" + escapeAround(rawValue, value, hit, v, url.QueryEscape)
			r.URL.RawQuery = strings.Join(params, "&")
			return nil
		}})
	}
	return nil
}

func paramName(p string) string {
	raw, _, _ := strings.Cut(p, "=")
	name, err := url.QueryUnescape(raw)
	if err != nil {
		return raw
	}
	return name
}

// redactPath is the path for the audit: masks stand as {NAME}, also where they were percent-encoded.
func redactPath(t *masking.Table, u *url.URL) string {
	path := rawPath(u)
	if path == "" {
		return path
	}
	redacted := t.Redact(path)
	if decoded := unescapePercent(redacted); mayHoldMask(decoded) {
		if _, ok := t.NextString(decoded, 0); ok {
			return t.Redact(decoded)
		}
	}
	return redacted
}

// unfit is the refusal of a value by its place; about says whose value it is.
func unfit(where string) *refusal {
	return &refusal{Code: codeValueUnfit, Message: "the value cannot stand in " + where,
		Hint: "use a place that can hold it: a body can hold line breaks, a header and Basic authorization cannot"}
}

// about puts the host, and the secret where the message does not name it, before the message.
func (r *refusal) about(secret string, a policy.Authority) *refusal {
	r.Host = a.String()
	if secret != "" {
		r.Secret = secret
		r.Message = secret + ": " + r.Message
	}
	r.Message = "request to " + r.Host + ": " + r.Message
	return r
}
