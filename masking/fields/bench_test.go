package fields

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

// prompt is a request as language model SDKs write it, of about 1 MiB.
func prompt(line string) []byte {
	var b bytes.Buffer
	b.WriteString(`{"model":"large-1","max_tokens":4096,"temperature":0.7,"stream":true,"messages":[`)
	for i := 0; b.Len() < 1<<20; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"role":"user","content":[{"type":"text","text":"%s"}]}`, strings.Repeat(line, 4096/len(line)))
	}
	b.WriteString(`],"metadata":{"user_id":"u-1"}}`)
	return b.Bytes()
}

func numbers() []byte {
	var b bytes.Buffer
	b.WriteString(`{"input":[`)
	for i := 0; b.Len() < 1<<20; i++ {
		fmt.Fprintf(&b, "%d.%06d,", i%3, i*7919%1000000)
	}
	b.WriteString(`0]}`)
	return b.Bytes()
}

func objects() []byte {
	var b bytes.Buffer
	b.WriteString(`{"rows":[`)
	for i := 0; b.Len() < 1<<20; i++ {
		fmt.Fprintf(&b, `{"id":%d,"name":"row %d","ok":true,"tags":["a","b"]},`, i, i)
	}
	b.WriteString(`{}]}`)
	return b.Bytes()
}

func BenchmarkReader(b *testing.B) {
	form := []byte("grant_type=x&token=plain&blob=" + strings.Repeat("abc%20def+", 1<<20/10))
	multi := []byte(part("token", "plain") + "--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n" +
		strings.Repeat("0123456789-\r\n", 1<<20/13) + "\r\n" + closing)
	credential := Selection{Credential: true}
	marked := prompt("words and more words, without end\\n")
	marked = append(marked[:len(marked)-1], `,"api_key":"`+mask+`"}`...)
	for _, c := range []struct {
		name   string
		format Format
		body   []byte
		sel    Selection
	}{
		{"prompt of prose", JSON, prompt("words and more words, without end, and a line of them is long and longer, as it is in prose.\\n"), credential},
		{"prompt of code", JSON, prompt("\\tif err := f(\\\"x\\\"); err != nil {\\n"), credential},
		{"prompt with a mask", JSON, marked, credential},
		{"prompt with a pointer into it", JSON, prompt("words and more words, without end\\n"), Selection{Credential: true, Pointers: []string{"/messages/0/key"}}},
		{"numbers", JSON, numbers(), credential},
		{"small objects", JSON, objects(), credential},
		{"nothing selected", JSON, prompt("words and more words, without end\\n"), Selection{}},
		{"form", Form, form, credential},
		{"multipart", Multipart, multi, credential},
	} {
		b.Run(c.name, func(b *testing.B) {
			o := options(b, c.format, c.sel)
			src := bytes.NewReader(nil)
			b.SetBytes(int64(len(c.body)))
			b.ReportAllocs()
			for b.Loop() {
				src.Reset(c.body)
				r := newReader(b, struct{ io.Reader }{src}, o)
				if n, err := r.WriteTo(struct{ io.Writer }{io.Discard}); err != nil || n == 0 {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkSmallBody(b *testing.B) {
	body := []byte(`{"model":"large-1","messages":[{"role":"user","content":"hello"}],"max_tokens":12}`)
	o := options(b, JSON, Selection{Credential: true})
	src := bytes.NewReader(nil)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		src.Reset(body)
		if _, err := newReader(b, src, o).WriteTo(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
