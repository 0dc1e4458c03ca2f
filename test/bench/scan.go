package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"kz/masking"
)

// scanSize is more than the caches of a processor hold.
const scanSize = 16 << 20

// scanText is like the stream of a model's answers.
func scanText() []byte {
	words := []string{"the", "request", "model", "completion", "content", "message", "assistant", "value", "token", "stream", "chunk", "delta", "finish", "reason"}
	r := rand.New(rand.NewPCG(1, 2))
	word := func() string { return words[r.IntN(len(words))] }
	b := make([]byte, 0, scanSize+512)
	for len(b) < scanSize {
		b = fmt.Appendf(b, `{"id":"chatcmpl-%x","object":"chat.completion.chunk","created":%d,"choices":[{"index":0,"delta":{"content":"%s %s %s %s"},"finish_reason":null}]}`+"\n",
			r.Uint64(), r.Uint32(), word(), word(), word(), word())
	}
	return b[:scanSize]
}

// scanValues are n values of 20 to 60 letters and digits, as keys are.
func scanValues(n int) [][]byte {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	r := rand.New(rand.NewPCG(3, 4))
	values := make([][]byte, n)
	for i := range values {
		values[i] = make([]byte, 20+r.IntN(41))
		for j := range values[i] {
			values[i][j] = letters[r.IntN(len(letters))]
		}
	}
	return values
}

func scanRows() []row {
	var rows []row
	for _, n := range []int{1, 10, 100} {
		rows = append(rows, row{"scanning for " + plural(n, "mask"), true, func(c *cell) error {
			key := masking.NewKey()
			var masks [][]byte
			for i := range n {
				masks = append(masks, []byte(key.Mask(fmt.Sprint(i))))
			}
			finder := masking.NewFinder(masks)
			return c.scan(masks[n/2], func(p []byte) bool {
				_, _, _, found := finder.Next(p, 0)
				return found
			})
		}})
	}
	for _, n := range []int{10, 100, 1000} {
		rows = append(rows, row{"scanning for " + plural(n, "value") + " in every form", true, func(c *cell) error {
			values := scanValues(n)
			var list []masking.Value
			for i, v := range values {
				list = append(list, masking.Value{Name: fmt.Sprint(i), Mask: "kz_masked_00000000000000000000000000000000", Bytes: v})
			}
			scrubber, err := masking.NewScrubber(list)
			if err != nil {
				return err
			}
			return c.scan(values[n/2], func(p []byte) bool {
				_, found := scrubber.Find(p)
				return found
			})
		}})
	}
	return rows
}

// scan times find over a text without a hit. With a pattern at its end it must be found.
func (c *cell) scan(pattern []byte, find func([]byte) bool) error {
	text := scanText()
	if find(text) {
		return errors.New("found what is not there")
	}
	began, rounds := time.Now(), 0
	for time.Since(began) < c.duration/2 {
		if find(text) {
			return errors.New("found what is not there")
		}
		rounds++
	}
	c.say(gbps, float64(rounds)*scanSize/1e9/time.Since(began).Seconds())
	copy(text[len(text)-len(pattern):], pattern)
	if !find(text) {
		return errors.New("not found at the end")
	}
	return nil
}
