package fields

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

const secretJSON = `s\"e\\c/r&e=t +%\n\u0001é` + "\u2028<"

func TestJSONEdits(t *testing.T) {
	t.Parallel()
	all := Selection{
		Credential: true,
		Names:      []string{"name", "", "ключ"},
		Pointers:   []string{"/a/b", "/l/0", "/l/1/k", "/x~1y/~0z", "/n/m/o/p", "/0/q", "/2"},
	}
	// M is the mask, S the secret as JSON has it.
	for _, c := range []struct{ name, in, want string }{
		{"a credential name", `{"token":"M"}`, `{"token":"S"}`},
		{"a credential name in another spelling", `{"API-Key" : "M" }`, `{"API-Key" : "S" }`},
		{"white space and order stay", " {\n\t\"a\" : 1e+5 , \"token\"\r: \"M\" ,\"z\":[ ] }\n", " {\n\t\"a\" : 1e+5 , \"token\"\r: \"S\" ,\"z\":[ ] }\n"},
		{"an exact name", `{"name":"pre M post"}`, `{"name":"pre S post"}`},
		{"the empty name", `{"":"M"}`, `{"":"S"}`},
		{"a name that is not ASCII", `{"ключ":"M"}`, `{"ключ":"S"}`},
		{"an escaped name", `{"to\u006Ben":"M","\u043a\u043b\u044e\u0447":"M"}`, `{"to\u006Ben":"S","\u043a\u043b\u044e\u0447":"S"}`},
		{"an escaped value", `{"name":"\"\\\/\b\f\n\r\t\ud83d\ude00 M"}`, `{"name":"\"\\/\u0008\u000c\n\r\t😀 S"}`},
		{"an escaped mask", `{"token":"\u006b` + mask[1:] + `"}`, `{"token":"S"}`},
		{"a lone surrogate stays one", `{"name":"\ud800 M \uDFFF\ude00\ud83d\u0041"}`, `{"name":"\ud800 S \udfff\ude00\ud83dA"}`},
		{"an unedited value keeps its spelling", `{"name":"\u004d\/"}`, `{"name":"\u004d\/"}`},
		{"an unselected name", `{"prompt":"M","tokens":"M"}`, `{"prompt":"M","tokens":"M"}`},
		{"a credential name below the top", `{"x":{"token":"M"},"y":[{"token":"M"}]}`, `{"x":{"token":"M"},"y":[{"token":"M"}]}`},
		{"a credential name inside an array", `[{"token":"M"},"M"]`, `[{"token":"M"},"M"]`},
		{"an exact name below the top", `{"x":{"name":"M"}}`, `{"x":{"name":"M"}}`},
		{"a pointer", `{"a":{"c":"M","b":"M"},"b":"M"}`, `{"a":{"c":"M","b":"S"},"b":"M"}`},
		{"a pointer's tail elsewhere", `{"z":{"a":{"b":"M"}},"a":{"z":{"b":"M"}}}`, `{"z":{"a":{"b":"M"}},"a":{"z":{"b":"M"}}}`},
		{"a pointer into an array", `{"l":["M",{"k":"M"},"M"]}`, `{"l":["S",{"k":"S"},"M"]}`},
		{"an index after containers", `{"l":[["M",["M"]],{"j":["M"],"k":"M"}]}`, `{"l":[["M",["M"]],{"j":["M"],"k":"S"}]}`},
		{"an index that is a key", `{"l":{"0":"M","1":{"k":"M"}}}`, `{"l":{"0":"S","1":{"k":"S"}}}`},
		{"a pointer with escapes", `{"x/y":{"~z":"M"}}`, `{"x/y":{"~z":"S"}}`},
		{"a deep pointer", `{"n":{"x":{},"m":{"o":{"p":"M"}}}}`, `{"n":{"x":{},"m":{"o":{"p":"S"}}}}`},
		{"a pointer into a top-level array", `[{"q":"M"},"M","M","M"]`, `[{"q":"S"},"M","S","M"]`},
		{"after other values", `{"a":{"b":[1,{"c":null}]},"t":true,"token":"M"}`, `{"a":{"b":[1,{"c":null}]},"t":true,"token":"S"}`},
		{"a value that is not a string", `{"token":["M"],"secret":{"x":"M"},"password":12}`, `{"token":["M"],"secret":{"x":"M"},"password":12}`},
		{"an empty value", `{"token":""}`, `{"token":""}`},
		{"several documents", `{"token":"M"}{"token":"M"} 1 {"token":"M"}[1]{"token":"M"}"M"{"token":"M"}`, `{"token":"S"}{"token":"S"} 1 {"token":"S"}[1]{"token":"S"}"M"{"token":"S"}`},
		{"NDJSON", "{\"token\":\"M\"}\n{\"token\":\"M\"}\n", "{\"token\":\"S\"}\n{\"token\":\"S\"}\n"},
		{"bytes that are not UTF-8", "{\"x\":\"\xff\",\"\xc3\":1,\"token\":\"M\"}", "{\"x\":\"\xff\",\"\xc3\":1,\"token\":\"S\"}"},
		{"numbers of all kinds", `{"a":[-0,0.5,1E-7,10.25e+3,-12],"token":"M"}`, `{"a":[-0,0.5,1E-7,10.25e+3,-12],"token":"S"}`},
		{"empty containers", `{"a":{},"l":[],"token":"M"}`, `{"a":{},"l":[],"token":"S"}`},
		{"a top-level string", `"M"`, `"M"`},
		{"no input", ``, ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := strings.ReplaceAll(c.in, "M", mask)
			want := strings.ReplaceAll(strings.ReplaceAll(c.want, "M", mask), "S", secretJSON)
			expect(t, in, want, options(t, JSON, all))
		})
	}
}

// Everything from the malformed byte on stays, also what would be selected.
func TestJSONLeavesWhatIsMalformed(t *testing.T) {
	t.Parallel()
	for _, before := range []string{
		"\ufeff", "\xff\xfe", "\x00", "// c\n", ")]}',\n", "\x1e", "x", "1{}", "1 2x", "truefalse", "1true", "true{}",
		`{"a":01,`, `{"a":-,`, `{"a":1.,`, `{"a":.5,`, `{"a":+1,`, `{"a":1e,`, `{"a":1e+,`, `{"a":-a,`, `{"a":1.e3,`, `{"a":0x1,`, `{"a":1e5.2,`,
		`{"a":NaN,`, `{"a":tru,`, `{"a":nulL,`, `{"a":True,`, `{"a":,`, `{"a",`, `{"a":1 2,`, `{"a" "b",`, `{"a"::1,`,
		`{,`, `{a:1,`, `{'a':1,`, `{"a":'1',`, `{"a":1,,`, `{"a":1;`, `[1,],{`, `[,`, `[1}`, `{"a":1]`, `{"a":[1},`, `{]`, `[}`, `}`, `]`,
		"{\"a\":\"\n\",", "{\"a\":\"\x00\",", "{\"a\n\":1,", `{"a":"\x",`, `{"a":"\u12g4",`, `{"a":"\u",`, `{"\q":1,`, `{"\u00zz":1,`,
		`{"a":1}}`, `{"a":1},`, `[1]]`, "{\"a\":1,\v", "{\"a\":1,\u00a0", `{"\ud800\uzzzz":1,`,
	} {
		t.Run(before, func(t *testing.T) {
			t.Parallel()
			o := options(t, JSON, Selection{Credential: true})
			in := before + `"token":"` + mask + `"}` + "\n" + `{"token":"` + mask + `"}`
			expect(t, in, in, o)
			// And what stands before has been edited.
			ok := `{"token":"` + mask + `"}` + " "
			expect(t, ok+in, strings.ReplaceAll(ok, mask, secretJSON)+in, o)
		})
	}
	t.Run("documents", func(t *testing.T) {
		t.Parallel()
		for _, bad := range []string{
			"1", "0", "-1.5e3", "true", "null", `{"a":1,}`, `[1,]`, `{xa":1}`, `{"a"}`, `{"a":}`, `[01]`, `01 `, `{"a":1 "b":2}`, `{"a";1}`,
			`{"a":1]`, `[1}`, `1.`, `tru `, `{"a":1}}`, `[1]]`, `,`, `:`, `"a":1 `, `{"a":1},`, `'a' `, `{1:2}`, `{"a":b}`,
		} {
			in := bad + `{"token":"` + mask + `"}`
			expect(t, in, in, options(t, JSON, Selection{Credential: true}))
		}
	})
	t.Run("UTF-16", func(t *testing.T) {
		t.Parallel()
		for _, order := range []string{"%s\x00", "\x00%s"} {
			var in strings.Builder
			for _, c := range `{"token":"` + mask + `"}` {
				fmt.Fprintf(&in, order, string(c))
			}
			expect(t, in.String(), in.String(), options(t, JSON, Selection{Credential: true}))
		}
	})
	t.Run("a key or value that does not end", func(t *testing.T) {
		t.Parallel()
		for _, in := range []string{`{"token":"` + mask, `{"token":"` + mask + `\`, `{"token":"` + mask + `\u12`, `{"token`, `{"tok\`, `{"token":`, `{"token`} {
			expect(t, in, in, options(t, JSON, Selection{Credential: true}))
		}
	})
	t.Run("a held value that goes wrong", func(t *testing.T) {
		t.Parallel()
		for _, in := range []string{"{\"token\":\"" + mask + "\n\"}", `{"token":"` + mask + `\x"}`, `{"token":"` + mask + `\u12"}`} {
			expect(t, in, in, options(t, JSON, Selection{Credential: true}))
		}
	})
}

func TestJSONOffersFields(t *testing.T) {
	t.Parallel()
	o := options(t, JSON, Selection{Credential: true, Names: []string{"a/b"}, Pointers: []string{"/x~1y/0", "/p"}})
	got, values := offered(t, `{"API_key":"1","a\/b":"2","x/y":["3"],"p":"4\n","client_secret":"","q":"5"}`, o)
	want := []Field{
		{Pointer: "/API_key", Name: "API_key", Top: true},
		{Pointer: "/a~1b", Name: "a/b", Top: true},
		{Pointer: "/x~1y/0", Name: "0"},
		{Pointer: "/p", Name: "p", Top: true},
		{Pointer: "/client_secret", Name: "client_secret", Top: true},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if want := []string{"1", "2", "3", "4\n", ""}; !slices.Equal(values, want) {
		t.Errorf("values %q, want %q", values, want)
	}
}

func TestJSONAmbiguity(t *testing.T) {
	t.Parallel()
	all := Selection{Credential: true, Names: []string{"name"}, Pointers: []string{"/a/b", "/c", "/a/c", "/a/d", "/l/0/k", "/token/x"}}
	top := func(name string) Field { return Field{Pointer: "/" + name, Name: name, Top: true} }
	b := Field{Pointer: "/a/b", Name: "b"}
	for _, c := range []struct {
		name, in, before string
		place            Field
	}{
		{"the first holds a mask", `{"token":"M","x":1,"token":"y"}`, `{"token":"S","x":1,"token`, top("token")},
		{"the second does", `{"api_key":"y","api_key":"M"}`, `{"api_key":"y","api_key":"`, top("api_key")},
		{"both do", `{"name":"M","name":"M"}`, `{"name":"S","name`, top("name")},
		{"the third does", `{"name":"","name":"","name":"M"}`, `{"name":"","name":"","name":"`, top("name")},
		{"the other is no string", `{"token":[1],"token":"M"}`, `{"token":[1],"token":"`, top("token")},
		{"the other is no string, later", `{"token":"M","token":null}`, `{"token":"S","token`, top("token")},
		{"spelt with escapes", `{"api_key":"M","\u0061pi_key":"y"}`, `{"api_key":"S","\u0061pi_key`, top("api_key")},
		{"a pointer", `{"a":{"b":"M","b":1}}`, `{"a":{"b":"S","b`, b},
		{"an ancestor, mask first", `{"a":{"b":"M"},"a":{"b":"y"}}`, `{"a":{"b":"S"},"a`, b},
		{"an ancestor, mask second", `{"a":{"b":"y"},"a":{"b":"M"}}`, `{"a":{"b":"y"},"a":{"b":"`, b},
		{"an ancestor without the member", `{"a":{},"a":{"b":"M"}}`, `{"a":{},"a":{"b":"`, b},
		{"an ancestor that is no object", `{"a":{"x":1,"b":"M"},"a":7}`, `{"a":{"x":1,"b":"S"},"a`, b},
		{"through an array", `{"l":[{"k":"M"}],"l":[]}`, `{"l":[{"k":"S"}],"l`, Field{Pointer: "/l/0/k", Name: "k"}},
		{"an ancestor of one that is marked, among others", `{"c":"M","a":{"d":"M"},"a":1}`, `{"c":"S","a":{"d":"S"},"a`, Field{Pointer: "/a/d", Name: "d"}},
		{"a place that also leads on", `{"token":"M","token":{"x":""}}`, `{"token":"S","token`, top("token")},
		{"in a later document", `{"token":"M"} {"token":"","token":"M"}`, `{"token":"S"} {"token":"","token":"`, top("token")},
		{"a mask behind an escape that no editor replaces", `{"name":"","name":"M\t"}`, `{"name":"","name":"`, top("name")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := strings.ReplaceAll(c.in, "M", mask)
			before := strings.ReplaceAll(c.before, "S", secretJSON)
			expectAmbiguous(t, in, before, c.place, options(t, JSON, all))
		})
	}
	for _, c := range []struct{ name, in string }{
		{"no mask", `{"token":"a","token":"b","a":{"b":""},"a":{"b":""}}`},
		{"a place that is not selected", `{"x":"M","x":"M"}`},
		{"a key that is not at the top", `{"x":{"token":"a","token":"M"}}`},
		{"a mask under another key", `{"token":"a","token":"b","x":"M"}`},
	} {
		t.Run(c.name+" is not ambiguous", func(t *testing.T) {
			t.Parallel()
			in := strings.ReplaceAll(c.in, "M", mask)
			expect(t, in, in, options(t, JSON, all))
		})
	}
	t.Run("spellings, siblings, elements and documents are different places", func(t *testing.T) {
		t.Parallel()
		in := `{"api_key":"M","apiKey":"M","a":{"b":"M","c":"M"},"l":[{"k":"M"},{"k":"x"}]} {"api_key":"M"}`
		in = strings.ReplaceAll(in, "M", mask)
		expect(t, in, strings.ReplaceAll(in, mask, secretJSON), options(t, JSON, all))
	})
	t.Run("a mask counts that the editor leaves", func(t *testing.T) {
		t.Parallel()
		o := options(t, JSON, all)
		o.Edit = func(Field, []byte) ([]byte, bool, error) { return nil, false, nil }
		expectAmbiguous(t, `{"token":"`+mask+`","token":""}`, `{"token":"`+mask+`","token`, top("token"), o)
	})
	t.Run("without Marked, what is replaced counts", func(t *testing.T) {
		t.Parallel()
		o := options(t, JSON, all)
		o.Marked = nil
		expectAmbiguous(t, `{"token":"`+mask+`","token":""}`, `{"token":"`+secretJSON+`","token`, top("token"), o)
		expectAmbiguous(t, `{"token":"","token":"`+mask+`"}`, `{"token":"","token":"`, top("token"), o)
		expect(t, `{"token":"","token":""}`, `{"token":"","token":""}`, o)
	})
}

func TestJSONBoundsWhatItFollows(t *testing.T) {
	t.Parallel()
	t.Run("spellings of credential names", func(t *testing.T) {
		t.Parallel()
		var in, want strings.Builder
		for i := range 200 {
			value := mask
			fmt.Fprintf(&in, `{"token%s":%q,`[min(i, 1):], strings.Repeat("_", i), value)
			if i < maxSpellings {
				value = "S"
			}
			fmt.Fprintf(&want, `{"token%s":%q,`[min(i, 1):], strings.Repeat("_", i), value)
		}
		o := options(t, JSON, Selection{Credential: true})
		expect(t, in.String(), strings.ReplaceAll(want.String(), `"S"`, `"`+secretJSON+`"`), o)
		again := `"token":""`
		expectAmbiguous(t, in.String()+again, strings.ReplaceAll(want.String(), `"S"`, `"`+secretJSON+`"`)+`"token`,
			Field{Pointer: "/token", Name: "token", Top: true}, o)
	})
	t.Run("the length of a key", func(t *testing.T) {
		t.Parallel()
		name := strings.Repeat("n", 300)
		o := options(t, JSON, Selection{Names: []string{name, ""}, Credential: true})
		fits := "token" + strings.Repeat("_", 251)
		in := fmt.Sprintf(`{%q:%q,%q:%q,%q:%q,%q:%q,"%s\u0020%s":""}`, fits, mask, fits+"_", mask, name, mask, name+"n", mask, name, name)
		want := fmt.Sprintf(`{%q:"%s",%q:%q,%q:"%s",%q:%q,"%s\u0020%s":""}`, fits, secretJSON, fits+"_", mask, name, secretJSON, name+"n", mask, name, name)
		expect(t, in, want, o)
		r := newReader(t, strings.NewReader(`{"`+strings.Repeat("k", 1<<20)+strings.Repeat(`\n`, 1<<20)+`":1}`), o)
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Fatal(err)
		}
		if n := cap(r.lex.(*jsonLexer).key); n > 1024 {
			t.Errorf("key buffer has grown to %d bytes", n)
		}
	})
	t.Run("nesting", func(t *testing.T) {
		t.Parallel()
		tail := `,{"token":"` + mask + `"}`
		o := options(t, JSON, Selection{Credential: true, Pointers: []string{"/0/0/0"}})
		in := strings.Repeat("[", 1_000_000) + strings.Repeat("]", 1_000_000) + tail[1:]
		r := newReader(t, strings.NewReader(in), o)
		lex := r.lex.(*jsonLexer)
		out, err := io.ReadAll(r)
		if err != nil || string(out) != in {
			t.Errorf("input came out changed; error %v", err)
		}
		if cap(lex.bits) > 2*maxDepth/64 || cap(lex.frames) > 16 {
			t.Errorf("stack has grown to %d words and %d frames", cap(lex.bits), cap(lex.frames))
		}
		in = strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + tail[1:]
		out, err = io.ReadAll(newReader(t, strings.NewReader(in), o))
		if want := strings.ReplaceAll(in, mask, secretJSON); err != nil || string(out) != want {
			t.Errorf("input of the allowed depth was not edited; error %v", err)
		}
		in = strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1) + tail[1:]
		out, err = io.ReadAll(newReader(t, strings.NewReader(in), o))
		if err != nil || string(out) != in {
			t.Errorf("input one level deeper was edited; error %v", err)
		}
	})
}

func TestJSONNestingIsRemembered(t *testing.T) {
	t.Parallel()
	// Objects and arrays in turn, over the words of the stack, and the wrong
	// one closed at each level.
	const depth = 130
	for wrong := range depth + 1 {
		var in strings.Builder
		for i := range depth {
			in.WriteString([]string{`{"k":`, `[`}[(i/3)%2])
		}
		in.WriteString("0")
		for i := depth - 1; i >= 0; i-- {
			in.WriteString([]string{"}", "]"}[((i/3)%2+map[bool]int{true: 1}[i == wrong])%2])
		}
		doc := in.String() + `{"token":"` + mask + `"}`
		want := doc
		if wrong == depth {
			want = strings.ReplaceAll(doc, mask, secretJSON)
		}
		out, err := io.ReadAll(newReader(t, strings.NewReader(doc), options(t, JSON, Selection{Credential: true})))
		if err != nil || string(out) != want {
			t.Fatalf("wrong bracket at level %d: got %q, %v", wrong, out, err)
		}
	}
}

func TestJSONRefusesAReplacementThatIsNoText(t *testing.T) {
	t.Parallel()
	for _, replacement := range []string{"\xff", "a\xc3", "\xed\xa0", "\xc0\x80", "\xed\x41\x80", "\xed\xa0\x41", "\xed\xc0\x80", "\xf5\x80\x80\x80"} {
		o := options(t, JSON, Selection{Credential: true})
		o.Edit = func(Field, []byte) ([]byte, bool, error) { return []byte(replacement), true, nil }
		for _, way := range readWays() {
			got, err := way.read(t, `{"x":1,"token":"`+mask+`"}`, o)
			var unencodable *UnencodableError
			if !errors.As(err, &unencodable) || !errors.Is(err, ErrUnencodable) || unencodable.Field.Name != "token" {
				t.Errorf("%s: %q: error %v", way.name, replacement, err)
			}
			if got != `{"x":1,"token":"` {
				t.Errorf("%s: %q: got %q", way.name, replacement, got)
			}
			if err != nil && strings.Contains(err.Error(), replacement) {
				t.Errorf("the error has the replacement in it: %v", err)
			}
		}
	}
}

func TestPlainFindsTheFirstByteThatMatters(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		for _, filler := range []string{"a", "\x7f", "\x80", "\xa2", "\xff", " ", "!", "#", "[", "]", "\xdc"} {
			for n := range 20 {
				b := []byte(strings.Repeat(filler, n) + string([]byte{byte(c)}) + strings.Repeat(filler, 9) + `"\`)
				want := n
				if c != '"' && c != '\\' && c >= ' ' {
					want = n + 1 + 9*len(filler)
				}
				if got := plain(b, 0); got != want {
					t.Fatalf("%#x after %d of %q: %d, want %d", c, n, filler, got, want)
				}
			}
		}
	}
}
