package masking

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"html/template"
	"net/url"
	"strings"
	"unicode/utf16"
)

// encoders are what servers use: other code than that under test.
var encoders = map[string]func(v string) string{
	"as it is": func(v string) string { return v },
	"JSON by Go": func(v string) string {
		b, _ := json.Marshal(v)
		return string(b[1 : len(b)-1])
	},
	"JSON without HTML escapes": func(v string) string {
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		_ = e.Encode(v)
		return b.String()[1 : b.Len()-2]
	},
	"JSON with escaped slashes": func(v string) string { return strings.ReplaceAll(jsonMinimal(v), "/", `\/`) },
	"JSON in ASCII":             func(v string) string { return jsonASCII(v, "%04x") },
	"JSON in ASCII, upper case": func(v string) string { return jsonASCII(v, "%04X") },
	"JSON in full":              func(v string) string { return inFull(v, `\u%04x`) },
	"JSON in full, upper case":  func(v string) string { return inFull(v, `\u%04X`) },
	"JSON of JSON":              func(v string) string { return jsonMinimal(jsonMinimal(v)) },
	"JSON by PHP":               jsonPHP,
	"JSON by .NET":              func(v string) string { return strings.ReplaceAll(jsonNET(v), "\x7f", `\u007F`) },
	"JSON by .NET but for DEL":  jsonNET,
	"base64":                    func(v string) string { return base64.StdEncoding.EncodeToString([]byte(v)) },
	"base64 unpadded":           func(v string) string { return base64.RawStdEncoding.EncodeToString([]byte(v)) },
	"base64url":                 func(v string) string { return base64.URLEncoding.EncodeToString([]byte(v)) },
	"base64url unpadded":        func(v string) string { return base64.RawURLEncoding.EncodeToString([]byte(v)) },
	"hex":                       func(v string) string { return hex.EncodeToString([]byte(v)) },
	"hex in upper case":         func(v string) string { return strings.ToUpper(hex.EncodeToString([]byte(v))) },
	"percent by QueryEscape":    url.QueryEscape,
	"percent by PathEscape":     url.PathEscape,
	"percent, lower case":       func(v string) string { return lowerPercent(url.PathEscape(v)) },
	"percent, RFC 3986":         func(v string) string { return strings.ReplaceAll(url.QueryEscape(v), "+", "%20") },
	"encodeURIComponent": func(v string) string {
		return strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").Replace(url.QueryEscape(v))
	},
	"encodeURI": func(v string) string {
		return strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*", "%3B", ";", "%2C", ",",
			"%2F", "/", "%3F", "?", "%3A", ":", "%40", "@", "%26", "&", "%3D", "=", "%2B", "+", "%24", "$", "%23", "#").Replace(url.QueryEscape(v))
	},
	"a gRPC status message": func(v string) string {
		var b strings.Builder
		for _, c := range []byte(v) {
			if c < ' ' || c > '~' || c == '%' {
				fmt.Fprintf(&b, "%%%02X", c)
			} else {
				b.WriteByte(c)
			}
		}
		return b.String()
	},
	"a gRPC status message by tonic": func(v string) string {
		var b strings.Builder
		for _, c := range []byte(v) {
			if c <= ' ' || c > '~' || strings.IndexByte("\"#%<>?`{}", c) >= 0 {
				fmt.Fprintf(&b, "%%%02X", c)
			} else {
				b.WriteByte(c)
			}
		}
		return b.String()
	},
	"the parameter of a header": func(v string) string {
		var b strings.Builder
		for _, c := range []byte(v) {
			if '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || strings.IndexByte("!#$&+-.^_`|~", c) >= 0 {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		}
		return b.String()
	},
	"XML by Go":                func(v string) string { return spaceGo.Replace(html.EscapeString(v)) },
	"an XML attribute by .NET": func(v string) string { return spaceGo.Replace(xmlAttribute.Replace(v)) },
	"an XML attribute by libxml2": func(v string) string {
		return strings.NewReplacer("\t", "&#9;", "\n", "&#10;", "\r", "&#13;").Replace(xmlAttribute.Replace(v))
	},
	"an XML attribute by Python": func(v string) string {
		return strings.NewReplacer("\t", "&#09;", "\n", "&#10;", "\r", "&#13;").Replace(xmlAttribute.Replace(v))
	},
	"form by WHATWG": func(v string) string {
		return strings.NewReplacer("~", "%7E", "%2A", "*").Replace(url.QueryEscape(v))
	},
	"percent in full": func(v string) string {
		var b strings.Builder
		for _, c := range []byte(v) {
			fmt.Fprintf(&b, "%%%02X", c)
		}
		return b.String()
	},
	"percent in full, lower case": func(v string) string {
		var b strings.Builder
		for _, c := range []byte(v) {
			fmt.Fprintf(&b, "%%%02x", c)
		}
		return b.String()
	},
	"HTML by Go":         html.EscapeString,
	"HTML by a template": func(v string) string { return template.HTMLEscapeString(v) },
	"HTML with names": func(v string) string {
		return strings.NewReplacer("&#34;", "&quot;", "&#39;", "&#x27;").Replace(html.EscapeString(v))
	},
	"HTML, text only": func(v string) string { return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(v) },
	"JSON by Gson":    jsonGson,
	"JSON by PHP, all in hex": func(v string) string {
		return strings.NewReplacer("<", `\u003C`, ">", `\u003E`, "&", `\u0026`, "'", `\u0027`, `\"`, `\u0022`, "/", `\/`).Replace(jsonASCII(v, "%04x"))
	},
	"JSON by Django": func(v string) string {
		return spell(v, func(r rune) string {
			if strings.ContainsRune("\\'\"<>&=-;`\u2028\u2029", r) || r < ' ' {
				return fmt.Sprintf(`\u%04X`, r)
			}
			return string(r)
		})
	},
	"JSON, all punctuation": func(v string) string {
		return spell(v, func(r rune) string {
			if strings.ContainsRune(`!"#$%&'()*+,/:;<=>?@[\]^{|}`+"`", r) {
				return fmt.Sprintf(`\u%04x`, r)
			}
			return jsonMinimal(string(r))
		})
	},
	"JSON, all but letters":      func(v string) string { return spell(v, allBut(`\u%04x`)) },
	"JSON of JSON by Gson":       func(v string) string { return jsonGson(jsonGson(v)) },
	"JSON by Gson of JSON":       func(v string) string { return jsonGson(jsonMinimal(v)) },
	"JSON of JSON by PHP":        func(v string) string { return jsonPHP(jsonPHP(v)) },
	"JSON of JSON in full":       func(v string) string { return jsonMinimal(inFull(v, `\u%04x`)) },
	"HTML in full":               func(v string) string { return spell(v, numbered("&#%d;")) },
	"HTML in full, hex":          func(v string) string { return spell(v, numbered("&#x%x;")) },
	"HTML in full, hex in upper": func(v string) string { return spell(v, numbered("&#x%X;")) },
	"HTML, all but letters":      func(v string) string { return spell(v, allBut("&#x%x;")) },
	"HTML in ASCII": func(v string) string {
		return spell(html.EscapeString(v), func(r rune) string {
			if r < 0x80 {
				return string(r)
			}
			return fmt.Sprintf("&#%d;", r)
		})
	},
	"HTML by PHP": func(v string) string {
		return strings.NewReplacer("&#34;", "&quot;", "&#39;", "&#039;").Replace(html.EscapeString(v))
	},
	"HTML by PHP, without quotes": func(v string) string { return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(v) },
	"HTML by PHP, all names": func(v string) string {
		return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;", "!", "&excl;", "#", "&num;",
			"$", "&dollar;", "%", "&percnt;", "(", "&lpar;", ")", "&rpar;", "*", "&ast;", "+", "&plus;", ",", "&comma;", ".", "&period;",
			"/", "&sol;", ":", "&colon;", ";", "&semi;", "=", "&equals;", "?", "&quest;", "@", "&commat;", "[", "&lbrack;", `\`, "&bsol;",
			"]", "&rbrack;", "^", "&Hat;", "_", "&lowbar;", "`", "&grave;", "{", "&lbrace;", "|", "&vert;", "}", "&rbrace;",
			"\t", "&Tab;", "\n", "&NewLine;").Replace(v)
	},
	"HTML by .NET": func(v string) string {
		return spell(v, func(r rune) string {
			switch {
			case strings.ContainsRune("'+`", r) || r >= 0x80:
				return fmt.Sprintf("&#x%X;", r)
			}
			return strings.ReplaceAll(html.EscapeString(string(r)), "&#34;", "&quot;")
		})
	},
	"HTML by Mustache":   func(v string) string { return htmlMustache.Replace(v) },
	"HTML by Handlebars": func(v string) string { return htmlHandlebars.Replace(v) },
	"HTML by OWASP": func(v string) string {
		return strings.NewReplacer("&#34;", "&quot;", "&#39;", "&#x27;", "/", "&#x2F;").Replace(html.EscapeString(v))
	},
	"XML": func(v string) string {
		return strings.NewReplacer("&#34;", "&quot;", "&#39;", "&apos;").Replace(html.EscapeString(v))
	},
	"percent, all but letters": func(v string) string {
		return strings.NewReplacer("-", "%2D", ".", "%2E", "_", "%5F", "~", "%7E", "+", "%20").Replace(url.QueryEscape(v))
	},
	"percent in a WHATWG path":   func(v string) string { return percentThese(v, " \"#<>?^`{}") },
	"percent in a WHATWG query":  func(v string) string { return percentThese(v, " \"#<>'") },
	"percent by curl and a form": func(v string) string { return lowerPercent(url.QueryEscape(v)) },
	"base64 in JSON by PHP": func(v string) string {
		return strings.ReplaceAll(base64.StdEncoding.EncodeToString([]byte(v)), "/", `\/`)
	},
	"base64 in JSON by Gson": func(v string) string { return jsonGson(base64.StdEncoding.EncodeToString([]byte(v))) },
	"base64 in a form":       func(v string) string { return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(v))) },
	"UTF-16LE": func(v string) string {
		var b []byte
		for _, u := range utf16.Encode([]rune(v)) {
			b = append(b, byte(u), byte(u>>8))
		}
		return string(b)
	},
	"UTF-16BE": func(v string) string {
		var b []byte
		for _, u := range utf16.Encode([]rune(v)) {
			b = append(b, byte(u>>8), byte(u))
		}
		return string(b)
	},
}

var (
	htmlMustache   = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;", "/", "&#x2F;", "`", "&#x60;", "=", "&#x3D;")
	htmlHandlebars = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;", "`", "&#x60;", "=", "&#x3D;")
)

func jsonPHP(v string) string { return strings.ReplaceAll(jsonASCII(v, "%04x"), "/", `\/`) }

func jsonGson(v string) string {
	return strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`, "=", `\u003d`, "'", `\u0027`,
		"\u2028", `\u2028`, "\u2029", `\u2029`).Replace(jsonMinimal(v))
}

// spell writes v character by character.
func spell(v string, how func(r rune) string) string {
	var b strings.Builder
	for _, r := range v {
		b.WriteString(how(r))
	}
	return b.String()
}

// numbered writes each character in the format.
func numbered(format string) func(r rune) string {
	return func(r rune) string { return fmt.Sprintf(format, r) }
}

// allBut is as numbered, letters and digits aside.
func allBut(format string) func(r rune) string {
	return func(r rune) string {
		if strings.ContainsRune(letters, r) {
			return string(r)
		}
		s := ""
		for _, u := range utf16.Encode([]rune{r}) {
			if format[0] == '&' {
				return fmt.Sprintf(format, r)
			}
			s += fmt.Sprintf(format, u)
		}
		return s
	}
}

// percentThese encodes the characters, controls and what is beyond ASCII.
func percentThese(v, these string) string {
	var b strings.Builder
	for _, c := range []byte(v) {
		if c < ' ' || c > '~' || strings.IndexByte(these, c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func jsonMinimal(v string) string {
	var b strings.Builder
	for _, r := range v {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// inFull writes each UTF-16 code unit in the format.
func inFull(v, format string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(v)) {
		fmt.Fprintf(&b, format, u)
	}
	return b.String()
}

func jsonNET(v string) string {
	return strings.NewReplacer("<", `\u003C`, ">", `\u003E`, "&", `\u0026`, "'", `\u0027`, `\"`, `\u0022`, "+", `\u002B`, "`", `\u0060`).Replace(jsonASCII(v, "%04X"))
}

func jsonASCII(v, format string) string {
	var b strings.Builder
	for _, r := range jsonMinimal(v) {
		if r < 0x80 {
			b.WriteRune(r)
			continue
		}
		for _, u := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u`+format, u)
		}
	}
	return b.String()
}

func lowerPercent(v string) string {
	out := []byte(v)
	for i := range out {
		if i+2 < len(out) && out[i] == '%' {
			copy(out[i+1:], bytes.ToLower(out[i+1:i+3]))
		}
	}
	return string(out)
}

var (
	spaceGo      = strings.NewReplacer("\t", "&#x9;", "\n", "&#xA;", "\r", "&#xD;")
	xmlAttribute = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")
)
