package origin

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/url"
	"strings"
	"unicode/utf16"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// Forms are the names that [Encode] knows.
var Forms = []string{
	"raw", "json", "json-gson", "json-php", "json-json", "json-escaped", "base64", "base64-1", "base64-2", "base64url", "base64url-1", "base64url-2",
	"hex", "HEX", "percent", "percent-full", "form", "html", "html-numeric", "html-hex", "utf16le", "utf16be",
}

// Encode writes v in one of the encodings that upstreams echo values in. The
// base64 forms have other bytes before and after v; -1 and -2 shift its
// alignment.
func Encode(form string, v []byte) ([]byte, error) {
	s := string(v)
	switch form {
	case "raw":
		return v, nil
	case "json":
		return []byte(quoted(s)), nil
	case "json-gson":
		return []byte(strings.NewReplacer("=", `\u003d`, "'", `\u0027`).Replace(quoted(s))), nil
	case "json-php":
		return []byte(strings.ReplaceAll(quoted(s), "/", `\/`)), nil
	case "json-json":
		return []byte(quoted(quoted(s))), nil
	case "json-escaped":
		var b bytes.Buffer
		for _, c := range utf16.Encode([]rune(s)) {
			fmt.Fprintf(&b, `\u%04x`, c)
		}
		return b.Bytes(), nil
	case "base64", "base64-1", "base64-2", "base64url", "base64url-1", "base64url-2":
		coding := base64.StdEncoding
		if strings.HasPrefix(form, "base64url") {
			coding = base64.RawURLEncoding
		}
		before := "key"
		if i := strings.LastIndexByte(form, '-'); i > 0 {
			before += "=="[:form[i+1]-'0']
		}
		return []byte(coding.EncodeToString([]byte(before + s + ":end"))), nil
	case "hex":
		return []byte(hex.EncodeToString(v)), nil
	case "HEX":
		return []byte(strings.ToUpper(hex.EncodeToString(v))), nil
	case "percent":
		return []byte(url.PathEscape(s)), nil
	case "percent-full":
		var b bytes.Buffer
		for _, c := range v {
			fmt.Fprintf(&b, "%%%02X", c)
		}
		return b.Bytes(), nil
	case "form":
		return []byte(url.QueryEscape(s)), nil
	case "html":
		return []byte(html.EscapeString(s)), nil
	case "html-numeric", "html-hex":
		format := map[string]string{"html-numeric": "&#%d;", "html-hex": "&#x%X;"}[form]
		var b bytes.Buffer
		for _, c := range s {
			fmt.Fprintf(&b, format, c)
		}
		return b.Bytes(), nil
	case "utf16le", "utf16be":
		var b []byte
		for _, c := range utf16.Encode([]rune(s)) {
			if form == "utf16le" {
				b = append(b, byte(c), byte(c>>8))
			} else {
				b = append(b, byte(c>>8), byte(c))
			}
		}
		return b, nil
	}
	return nil, fmt.Errorf("unknown form %q", form)
}

// quoted is s as it stands between the quotes of a JSON string by Go.
func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // never, of a string
	}
	return string(b[1 : len(b)-1])
}

// flushWriter is a content coder that can send what it has.
type flushWriter interface {
	io.WriteCloser
	Flush() error
}

// coder compresses into w. The name is that of the Content-Encoding; "raw-deflate"
// is the deflate that many servers send without zlib's header, and an unknown
// name passes bytes as they are.
func coder(name string, w io.Writer) (flushWriter, error) {
	switch name {
	case "gzip", "x-gzip":
		return gzip.NewWriter(w), nil
	case "deflate":
		return zlib.NewWriter(w), nil
	case "raw-deflate":
		return flate.NewWriter(w, flate.DefaultCompression)
	case "br":
		return brotli.NewWriterLevel(w, 4), nil
	case "zstd":
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	}
	return plainCoder{w}, nil
}

type plainCoder struct{ io.Writer }

func (plainCoder) Flush() error { return nil }
func (plainCoder) Close() error { return nil }
