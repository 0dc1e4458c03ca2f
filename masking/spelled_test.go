package masking

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
)

func TestATokenIsFoundAsProgramsSpellIt(t *testing.T) {
	t.Parallel()
	table, err := NewTable(NewKey(), []Entry{{Name: "A"}, {Name: "B", Shape: "sk_live_{mask}"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"A", "B"} {
		token := table.Token(name)
		texts := map[string]string{
			"as it is": token, "in a URL": strings.ReplaceAll(token, "_", "%5F"), "in a URL, lower case": strings.ReplaceAll(token, "_", "%5f"),
			"in HTML": strings.ReplaceAll(token, "_", "&#95;"), "in JSON": strings.ReplaceAll(token, "_", `\u005f`), "in JSON, upper case": strings.ReplaceAll(token, "_", `\u005F`),
			"as a query is written": url.QueryEscape(token),
		}
		for before := range 3 {
			for after := range 3 {
				text := []byte(strings.Repeat("u", before) + token + strings.Repeat("p", after))
				texts[fmt.Sprintf("base64 %d %d", before, after)] = base64.StdEncoding.EncodeToString(text)
				texts[fmt.Sprintf("base64url %d %d", before, after)] = base64.RawURLEncoding.EncodeToString(text)
			}
		}
		for how, text := range texts {
			text = "x" + text + "y"
			var whole, cut []string
			table.Spelled([]byte(text), func(n string) { whole = append(whole, n) })
			out, err := io.ReadAll(table.ScanSpelled(iotest.OneByteReader(strings.NewReader(text)), func(n string) { cut = append(cut, n) }))
			if fmt.Sprint(whole) != "["+name+"]" || fmt.Sprint(cut) != "["+name+"]" || err != nil || string(out) != text {
				t.Errorf("%s %s: %v and %v, %v", name, how, whole, cut, err)
			}
		}
	}
}
