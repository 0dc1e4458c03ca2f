package envfile_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"kz/resolver/envfile"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want map[string]string
	}{
		"an empty file":                   {"", nil},
		"blank lines and comments":        {"\n  \n# A=1\n   # B=2\n\t\n", nil},
		"plain values":                    {"A=1\nB_2=two words\n_c.d-e=x", map[string]string{"A": "1", "B_2": "two words", "_c.d-e": "x"}},
		"blanks around everything":        {"  A  =  1  \n\tB\t=\t2\t\n", map[string]string{"A": "1", "B": "2"}},
		"export":                          {"export A=1\nexport\tB=2\n  export   C = '3'\n", map[string]string{"A": "1", "B": "2", "C": "3"}},
		"a key named export":              {"export=1\n", map[string]string{"export": "1"}},
		"a key named export, with blanks": {"export = 1\n", map[string]string{"export": "1"}},
		"empty values":                    {"A=\nB=''\nC=\"\"\nD= \nE=", map[string]string{"A": "", "B": "", "C": "", "D": "", "E": ""}},
		"a comment after a value":         {"A=1 # one\nB='2' # two\nC=\"3\"# three\nD=4\t#four\n", map[string]string{"A": "1", "B": "2", "C": "3", "D": "4"}},
		"a comment in place of a value":   {"A= # none\nB=2\n", map[string]string{"A": "", "B": "2"}},
		"# inside a value":                {"A=a#b\nB=#c\nC='d # e'\nD=\"f # g\"\n", map[string]string{"A": "a#b", "B": "#c", "C": "d # e", "D": "f # g"}},
		"literal quotes":                  {`A='\n $B "x" \\'`, map[string]string{"A": `\n $B "x" \\`}},
		"escapes":                         {`A="a\nb\rc\td\"e\\f\$g"`, map[string]string{"A": "a\nb\rc\td\"e\\f$g"}},
		"what is no escape":               {`A="C:\path \é \x41"`, map[string]string{"A": `C:\path \é \x41`}},
		"no escapes without quotes":       {`A=a\nb\tc`, map[string]string{"A": `a\nb\tc`}},
		"no variables":                    {"A=$HOME ${HOME} $(id) `id`\nB=\"$A ${A:-x}\"\n", map[string]string{"A": "$HOME ${HOME} $(id) `id`", "B": "$A ${A:-x}"}},
		"quotes inside an unquoted value": {`A=it's "so"`, map[string]string{"A": `it's "so"`}},
		"= inside a value":                {"A=b=c==\n", map[string]string{"A": "b=c=="}},
		"several lines in double quotes":  {"A=\"one\ntwo # no comment\nB=no key\n\"\nC=3", map[string]string{"A": "one\ntwo # no comment\nB=no key\n", "C": "3"}},
		"several lines in single quotes":  {"A='one\n\"two\"'\nC=3", map[string]string{"A": "one\n\"two\"", "C": "3"}},
		"a backslash before a line end":   {"A=\"one\\\ntwo\"", map[string]string{"A": "one\\\ntwo"}},
		"CRLF":                            {"A=1\r\nB='2'\r\n# c\r\n\r\nC=\"x\r\ny\"\r\nD=4", map[string]string{"A": "1", "B": "2", "C": "x\ny", "D": "4"}},
		"a byte order mark":               {"\xef\xbb\xbfA=1\n", map[string]string{"A": "1"}},
		"a key that stands twice":         {"A=1\nB=2\nA=3\n", map[string]string{"A": "3", "B": "2"}},
		"characters beyond ASCII":         {"A=ünï 鍵\nB='🔑'", map[string]string{"A": "ünï 鍵", "B": "🔑"}},
		"bytes that are no UTF-8":         {"A=\xff\xfe", map[string]string{"A": "\xff\xfe"}},
		"a value that ends with the file": {`A="x"`, map[string]string{"A": "x"}},
		"a backslash that ends the file":  {`A=x\`, map[string]string{"A": `x\`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := envfile.Parse([]byte(c.text))
			if err != nil || !maps.Equal(got, c.want) {
				t.Errorf("%q %v", got, err)
			}
		})
	}
}

func TestParseErrorsHaveTheLineAndNothingOfIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text    string
		line    int
		problem string
	}{
		"no =":                         {"A=1\nSECRET-canary\n", 2, "= is expected"},
		"no = after export":            {"export SECRET_canary", 1, "= is expected"},
		"no name":                      {"A=1\n\n=canary", 3, "name"},
		"a digit first":                {"1A=canary", 1, "name"},
		"a blank in the name":          {"A B=canary", 1, "= is expected"},
		"no end of a double quote":     {"A=1\nB=\"canary\nC=2\n", 2, "quote"},
		"no end of a single quote":     {"\nA='canary", 2, "quote"},
		"an escaped end of a quote":    {`A="canary\"`, 1, "quote"},
		"text after the quote":         {"A='x\ny' canary\n", 2, "after the closing quote"},
		"a NUL byte":                   {"A=1\nB=x\x00canary\n", 2, "NUL"},
		"an error after several lines": {"A=\"1\n2\n3\"\r\n\r\nB canary\n", 5, "= is expected"},
		"a YAML line":                  {"A: canary", 1, "= is expected"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := envfile.Parse([]byte(c.text))
			var e *envfile.SyntaxError
			if !errors.As(err, &e) || e.Line != c.line || !strings.Contains(e.Problem, c.problem) {
				t.Fatal(err)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Error(err)
			}
		})
	}
}

// quoteDouble writes a value as Parse reads it back.
func quoteDouble(v string) string {
	return `"` + strings.NewReplacer("\\", `\\`, "\"", `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "$", `\$`).Replace(v) + `"`
}

func FuzzParse(f *testing.F) {
	f.Add("A=1\nexport B='2'\nC=\"a\\nb\" # c\n")
	f.Add("A=\"\n'\\")
	f.Add("\xef\xbb\xbf=\r\n#")
	f.Fuzz(func(t *testing.T, text string) {
		values, err := envfile.Parse([]byte(text))
		var syntax *envfile.SyntaxError
		if err != nil && (!errors.As(err, &syntax) || syntax.Line < 1 || syntax.Line > strings.Count(text, "\n")+1) {
			t.Fatal(err)
		}
		if strings.ContainsRune(text, 0) {
			return
		}
		if values == nil {
			values = map[string]string{}
		}
		values["TEXT"] = text
		var file strings.Builder
		for k, v := range values {
			file.WriteString(k + "=" + quoteDouble(v) + "\n")
		}
		again, err := envfile.Parse([]byte(file.String()))
		if err != nil || !maps.Equal(again, values) {
			t.Fatalf("%v\n%q\n%q", err, values, again)
		}
	})
}
