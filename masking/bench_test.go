package masking

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"testing"
)

const benchSize = 16 << 20

func jsonLike(size int) []byte {
	r := mrand.New(mrand.NewPCG(1, 2))
	words := []string{"the", "request", "model", "completion", "content", "message", "assistant", "value", "of", "a", "token", "stream", "chunk", "delta", "and", "finish", "reason", "object", "index", "usage"}
	b := make([]byte, 0, size+256)
	for len(b) < size {
		b = fmt.Appendf(b, `{"id":"chatcmpl-%x","object":"chat.completion.chunk","created":%d,"choices":[{"index":0,"delta":{"content":"%s %s %s %s %s"},"finish_reason":null}]}`+"\n",
			r.Uint64(), r.Uint32(), words[r.IntN(20)], words[r.IntN(20)], words[r.IntN(20)], words[r.IntN(20)], words[r.IntN(20)])
	}
	return b[:size]
}

func randomBytes(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.Read(b)
	return b
}

func randomMasks(n int) [][]byte {
	var out [][]byte
	for range n {
		out = append(out, []byte(Prefix+hex.EncodeToString(randomBytes(16))))
	}
	return out
}

func randomValues(n, min, max int) [][]byte {
	const abc = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	r := mrand.New(mrand.NewPCG(3, 4))
	var out [][]byte
	for range n {
		v := make([]byte, min+r.IntN(max-min+1))
		for i := range v {
			v[i] = abc[r.IntN(len(abc))]
		}
		out = append(out, v)
	}
	return out
}

// inputs are what is scanned: more than the caches hold; what the second one
// does, as it is with what has just been received; and what the nearest one does,
// of which the processor learns the branches.
func inputs() map[string][]byte {
	text, random := jsonLike(benchSize), randomBytes(benchSize)
	return map[string][]byte{"json 16 MiB": text, "json 1 MiB": text[:1<<20], "json 32 KiB": text[:32<<10], "random 16 MiB": random, "random 32 KiB": random[:32<<10]}
}

func scanAll(b *testing.B, what string, f *Finder, inputs map[string][]byte) {
	for name, input := range inputs {
		b.Run(what+"/"+name, func(b *testing.B) {
			b.SetBytes(int64(len(input)))
			for b.Loop() {
				if _, _, _, ok := f.Next(input, 0); ok {
					b.Fatal("found")
				}
			}
		})
	}
}

func benchScrubber(b testing.TB, values [][]byte) *Scrubber {
	b.Helper()
	var list []Value
	for i, v := range values {
		list = append(list, Value{Name: fmt.Sprint(i), Mask: testMask, Bytes: v})
	}
	s, err := NewScrubber(list)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func BenchmarkMasks(b *testing.B) {
	in := inputs()
	for _, n := range []int{1, 100} {
		scanAll(b, fmt.Sprint(n, " masks"), NewFinder(randomMasks(n)), in)
	}
}

// Values as they are, without their encodings.
func BenchmarkPlainValues(b *testing.B) {
	in := inputs()
	for _, n := range []int{1, 10, 100, 1000} {
		scanAll(b, fmt.Sprint(n, " values"), NewFinder(randomValues(n, 20, 60)), in)
	}
}

func BenchmarkScrubber(b *testing.B) {
	in := inputs()
	for _, n := range []int{1, 10, 100, 1000} {
		scanAll(b, fmt.Sprint(n, " values"), benchScrubber(b, randomValues(n, 20, 60)).finding, in)
	}
	for _, n := range []int{8, 12, 16, 40} {
		scanAll(b, fmt.Sprint("10 values from ", n), benchScrubber(b, randomValues(10, n, 60)).finding, in)
	}
}

// Bodies full of what escapes begin with, or are made of: as many bytes as
// those without, where neither holds a value.
func BenchmarkEscapes(b *testing.B) {
	text := string(jsonLike(64 << 10))
	inputs := map[string][]byte{"plain": []byte(text)[:32<<10]}
	for _, name := range []string{"percent in full", "JSON in full", "HTML in full", "JSON of JSON", "HTML by Go"} {
		inputs[name] = []byte(encoders[name](text))[:32<<10]
	}
	for _, c := range `\%&` {
		inputs["nothing but "+string(c)] = bytes.Repeat([]byte{byte(c)}, 32<<10)
	}
	for _, n := range []int{10, 1000} {
		scanAll(b, fmt.Sprint(n, " values"), benchScrubber(b, randomValues(n, 20, 60)).finding, inputs)
	}
}

func BenchmarkNewScrubber(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		values := randomValues(n, 20, 60)
		b.Run(fmt.Sprint(n, " values"), func(b *testing.B) {
			for b.Loop() {
				benchScrubber(b, values)
			}
		})
	}
}

func BenchmarkStream(b *testing.B) {
	values := randomValues(10, 20, 60)
	s := benchScrubber(b, values)
	table := newTable(b, Entry{Name: "A"})
	plain := jsonLike(benchSize)
	swap := func(r io.Reader) io.Reader {
		return table.Reader(r, func(string) ([]byte, bool) { return values[0], true })
	}
	scrub := func(r io.Reader) io.Reader { return s.Reader(r, Restore, nil) }
	for _, c := range []struct {
		name  string
		input []byte
		wrap  func(io.Reader) io.Reader
	}{
		{"swap, no mask", plain, swap},
		{"swap, a mask each line", bytes.ReplaceAll(plain, []byte("choices"), []byte(table.Token("A"))), swap},
		{"scrub, no value", plain, scrub},
		{"scrub, a value each line", bytes.ReplaceAll(plain, []byte("choices"), values[3]), scrub},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.input)))
			b.ReportAllocs()
			for b.Loop() {
				// Without the WriterTo of a bytes.Reader: from a connection.
				r := c.wrap(struct{ io.Reader }{bytes.NewReader(c.input)})
				if _, err := r.(io.WriterTo).WriteTo(io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What an event of a stream costs.
func BenchmarkEvent(b *testing.B) {
	event := append(jsonLike(200), "\n\n"...)
	src := readerFunc(func(p []byte) (int, error) { return copy(p, event), nil })
	r := benchScrubber(b, randomValues(10, 20, 60)).Reader(src, Restore, nil)
	p := make([]byte, len(event))
	b.ReportAllocs()
	for b.Loop() {
		if n, err := r.Read(p); n != len(event) || err != nil {
			b.Fatal(n, err)
		}
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
