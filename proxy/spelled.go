package proxy

import (
	"encoding/base64"
	"strconv"
	"strings"

	"kz/masking"
	"kz/proxy/policy"
)

// shortestSpelled is less than any spelling of a mask takes.
const shortestSpelled = masking.Len

// judgeSpelledHeader finds masks that do not stand in v as they are. One that is escaped is a mask where it may not be swapped.
// One in base64 is only recorded: Basic that is not canonical, say, of which nobody knows how its receiver reads it.
func (x *exchange) judgeSpelledHeader(name, v string) *refusal {
	if len(v) < shortestSpelled {
		return nil
	}
	table := x.p.opts.Table
	if strings.IndexByte(v, '%') >= 0 || strings.Contains(v, `\u`) {
		if hit, ok := table.NextString(unescapeUnicode(unescapePercent(v)), 0); ok {
			_, _, ref := x.judge(hit.Name, policy.Site{Kind: policy.InURL})
			if policy.Reflected(name) {
				return nil
			}
			return ref
		}
	}
	if name == "Authorization" {
		if hit, ok := table.NextString(looseBasic(v), 0); ok && hit.Name != "" {
			x.didWithhold(hit.Name, "basic", "Basic credentials that are not user:password in canonical base64 are not read")
			return nil
		}
	}
	var room [512]byte // most headers fit: nothing is allocated
	table.Spelled(append(room[:0], v...), func(secret string) {
		x.didWithhold(secret, "header:"+name, "it stands there encoded")
	})
	return nil
}

// noteSpelledURL records masks that stand encoded in the path or the query.
func (x *exchange) noteSpelledURL(s string) {
	if len(s) < shortestSpelled {
		return
	}
	var room [512]byte
	x.p.opts.Table.Spelled(append(room[:0], s...), func(secret string) { x.didWithhold(secret, "url", "it stands there encoded") })
}

// looseBasic decodes Basic credentials as a lenient receiver might.
func looseBasic(v string) string {
	v = strings.NewReplacer("\t", " ", "-", "+", "_", "/").Replace(v)
	scheme, encoded, found := strings.Cut(v, " ")
	if !found || !strings.EqualFold(scheme, "Basic") {
		return ""
	}
	encoded = strings.TrimRight(strings.ReplaceAll(encoded, " ", ""), "=")
	decoded, _ := base64.RawStdEncoding.DecodeString(encoded) // up to where it is not base64
	return string(decoded)
}

// unescapeUnicode decodes the escapes of JSON for ASCII, and leaves the rest.
func unescapeUnicode(s string) string {
	if !strings.Contains(s, `\u`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+5 < len(s) && s[i+1] == 'u' {
			if n, err := strconv.ParseUint(s[i+2:i+6], 16, 16); err == nil && n < 0x80 {
				b.WriteByte(byte(n))
				i += 5
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
