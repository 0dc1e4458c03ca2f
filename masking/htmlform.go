package masking

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// htmlNumbers are the ways of writing a character by its number.
var htmlNumbers = []string{"&#%d;", "&#x%x;", "&#x%X;"}

// htmlNames are the characters that have a name, and the names: pairs, as a
// strings.Replacer takes them. PHP's htmlentities writes them all.
var htmlNames = []string{
	"&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;",
	"!", "&excl;", "#", "&num;", "$", "&dollar;", "%", "&percnt;", "(", "&lpar;", ")", "&rpar;", "*", "&ast;",
	"+", "&plus;", ",", "&comma;", ".", "&period;", "/", "&sol;", ":", "&colon;", ";", "&semi;", "=", "&equals;",
	"?", "&quest;", "@", "&commat;", "[", "&lbrack;", `\`, "&bsol;", "]", "&rbrack;", "^", "&Hat;", "_", "&lowbar;",
	"`", "&grave;", "{", "&lbrace;", "|", "&vert;", "}", "&rbrace;", "\t", "&Tab;", "\n", "&NewLine;",
}

// htmlOthers are what known encoders write by number beside quotes: Go's
// template, .NET, Underscore, Handlebars, OWASP, Mustache.
var htmlOthers = []string{"", "+", "+`", "`", "`=", "/", "/`="}

// html adds the forms in HTML and XML.
func (f *formSet) html(v []byte) {
	f.htmlText(v, htmlNames)
	for _, number := range htmlNumbers {
		f.add(htmlNumbered(v, number, func(rune) bool { return true }))
		f.add(htmlNumbered(v, number, func(r rune) bool { return !strings.ContainsRune(letters, r) }))
	}
	f.htmlText(v, nil)
	f.xml(v)
	found := within(others(v), special)
	if found == "" {
		return
	}
	for _, set := range mixtures(v) {
		for _, number := range htmlNumbers {
			f.htmlText(v, htmlNumberOf(set, number))
		}
		var named []string
		for i := 0; i < len(htmlNames); i += 2 {
			if strings.Contains(set, htmlNames[i]) {
				named = append(named, htmlNames[i:i+2]...)
			}
		}
		f.htmlText(v, named)
	}
	f.htmlCommon(v, found)
}

// htmlCommon adds what comes of the common ways to write each of the markup
// characters, and of htmlOthers.
func (f *formSet) htmlCommon(v []byte, found string) {
	ways := func(c string, all ...string) []string {
		if !bytes.Contains(v, []byte(c)) {
			return all[:1]
		}
		return all
	}
	var sets []string
	numbers, greater := htmlNumbers, ways(">", "&gt;", ">")
	for _, set := range htmlOthers {
		sets = also(sets, within(found, set))
	}
	if len(v) > long {
		numbers, greater, sets = numbers[:1], greater[:1], sets[:min(2, len(sets))] // Go's
	}
	for _, more := range greater {
		for _, quote := range ways(`"`, "&quot;", "&#34;", "&#x22;", `"`) {
			for _, apostrophe := range ways("'", "&#39;", "&#x27;", "&#039;", "&apos;", "'") {
				markup := []string{"&", "&amp;", "<", "&lt;", ">", more, `"`, quote, "'", apostrophe}
				for _, set := range sets {
					for _, number := range numbers {
						f.htmlText(v, slices.Concat(markup, htmlNumberOf(set, number)))
					}
				}
			}
		}
	}
}

// xml adds the forms in which white space is written by number: Go's in XML, and attributes'.
func (f *formSet) xml(v []byte) {
	if !bytes.ContainsAny(v, "\t\n\r") {
		return
	}
	for _, space := range [][]string{
		{"\t", "&#x9;", "\n", "&#xA;", "\r", "&#xD;"}, // Go, .NET, Java, C14N
		{"\t", "&#9;", "\n", "&#10;", "\r", "&#13;"},  // libxml2
		{"\t", "&#09;", "\n", "&#10;", "\r", "&#13;"}, // Python
	} {
		for _, markup := range [][]string{
			{"&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;"},
			{"&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;"},
			{"&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;"},
			{"&", "&amp;", "<", "&lt;", `"`, "&quot;"},
		} {
			f.htmlText(v, slices.Concat(markup, space))
		}
	}
}

// htmlText adds v with the pairs replaced, and the same with what is beyond
// ASCII written by number.
func (f *formSet) htmlText(v []byte, pairs []string) {
	text := []byte(strings.NewReplacer(pairs...).Replace(string(v)))
	f.add(text)
	if slices.ContainsFunc(v, func(c byte) bool { return c >= 0x80 }) {
		for _, number := range htmlNumbers {
			f.add(htmlNumbered(text, number, func(r rune) bool { return r >= 0x80 }))
		}
	}
}

// htmlNumberOf returns each character of the set and how it is written, as pairs.
func htmlNumberOf(set, number string) (pairs []string) {
	for _, r := range set {
		pairs = append(pairs, string(r), fmt.Sprintf(number, r))
	}
	return pairs
}

// htmlNumbered writes those characters by number that which says so of.
func htmlNumbered(v []byte, number string, which func(r rune) bool) []byte {
	out := make([]byte, 0, 6*len(v))
	for _, r := range string(v) {
		if which(r) {
			out = fmt.Appendf(out, number, r)
		} else {
			out = append(out, string(r)...)
		}
	}
	return out
}
