package fields

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestSoups holds the properties of the fuzz tests against inputs cooked from
// what the grammars are made of, which random bytes seldom meet.
func TestSoups(t *testing.T) {
	t.Parallel()
	words := map[string]string{
		"json":   `{ } [ ] : , { } [ ] : , "token" "n" "a" "b" "c" "0" "1" "" "x" "MASK" "MASK" "\u0061" "\ud83d\ude00" "\ud800" "\ud800\ud83d\ude00" "\q" "\u12" "api_key" "a\\" "\"" true fals null 0 -1 1.5e-3 01 1. - . e5 "é" "`,
		"object": `{"token":"MASK" {"n":"MASK" {"a":{"b":"MASK" {"a":[ {"a":["MASK",{"c":"xMASK"} ,"n":"MASK" ,"token":" ,"token":1 ,"a":{"b":1} ,"b":"MASK" ,"x":"MASK" ,"api_key":"M\u0041SK" ,"apiKey":"MASK" ["MASK" ,{"n":"MASK"} ,[ ,{} ,"MASK" ,1 } } } ] ] "} "}`,
		"form":   `token n a api_key apiKey = = = & & & MASK MASK %4d ASK %6e %6 % %zz + x MA`,
	}
	recipes := map[string][]string{"multipart": {
		"\r\n", "\r\n", "\r\n\r\n", "--XX", "--XX", "--XX--", "--", "\n", "\r", "X", "MASK", "MASK", "\r\n--XX\r\n", "\r\n--XX--\r\n",
		part("n", "MASK"), part("token", "x"), part("x", "MASK"), part("api_key", "MASK"), part("n\"; filename=\"f", "MASK"), part("to\\ken", "MASK"),
		"Content-Disposition: form-data; name=", "n", "\"token\"", "; filename=x", "Content-Type: text/plain\r\n", "Content-Length: 4\r\n", "A: b\r\n", " ",
	}}
	for name, list := range words {
		recipes[name] = append(strings.Fields(list), " ", "\n")
	}
	for name, soup := range recipes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(1, uint64(len(soup))))
			format := map[string]Format{"form": Form, "multipart": Multipart}[name]
			if format == 0 {
				format = JSON
			}
			for range 4_000 {
				var in bytes.Buffer
				if name == "multipart" && rng.IntN(4) > 0 {
					in.WriteString(soup[14+rng.IntN(6)])
				}
				for range rng.IntN(12) {
					in.WriteString(soup[rng.IntN(len(soup))])
				}
				checkSoup(t, format, in.Bytes(), rng.Uint64())
			}
		})
	}
}

func checkSoup(t *testing.T, format Format, in []byte, seed uint64) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("input %q", in)
		}
	}()
	checkChunking(t, in, uint8(format-1), seed)
	switch format {
	case JSON:
		checkJSON(t, in, 0, 0)
	case Form:
		checkForm(t, in, 0, 0)
	case Multipart:
		checkMultipart(t, in, 0, 0)
	}
}
