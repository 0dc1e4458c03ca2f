package masking

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
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

func randomBytes(size int) []byte { b := make([]byte, size); rand.Read(b); return b }

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

func BenchmarkFinder(b *testing.B) {
	bodies := map[string][]byte{"json": jsonLike(benchSize), "random": randomBytes(benchSize)}
	for _, body := range []string{"json", "random"} {
		for _, n := range []int{1, 100} {
			f := NewFinder(randomMasks(n))
			b.Run(fmt.Sprintf("%s/masks-%d", body, n), func(b *testing.B) { scan(b, f, bodies[body]) })
		}
		for _, n := range []int{1, 10, 100, 1000} {
			f := NewFinder(randomValues(n, 20, 60))
			b.Run(fmt.Sprintf("%s/values-%d", body, n), func(b *testing.B) { scan(b, f, bodies[body]) })
		}
		for _, m := range []int{8, 12, 16} {
			f := NewFinder(randomValues(10, m, 60))
			b.Run(fmt.Sprintf("%s/values-10-from-%d", body, m), func(b *testing.B) { scan(b, f, bodies[body]) })
		}
	}
}

func scan(b *testing.B, f *Finder, body []byte) {
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, _, _, ok := f.Next(body, 0); ok {
			b.Fatal("found")
		}
	}
}
