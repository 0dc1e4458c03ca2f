package masking

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"testing"
)

func TestMask(t *testing.T) {
	t.Parallel()
	key := NewKey()
	mask := key.Mask("OPENAI_API_KEY")

	t.Run("has a fixed form", func(t *testing.T) {
		t.Parallel()
		if !regexp.MustCompile(`^kz_masked_[0-9a-f]{32}$`).MatchString(mask) || len(mask) != Len || !isMask(mask) {
			t.Fatal(mask)
		}
	})
	t.Run("is an HMAC of the name, cut to 128 bits", func(t *testing.T) {
		t.Parallel()
		mac := hmac.New(sha256.New, key[:])
		mac.Write([]byte("OPENAI_API_KEY"))
		if want := Prefix + hex.EncodeToString(mac.Sum(nil))[:32]; mask != want {
			t.Fatalf("got %s, want %s", mask, want)
		}
	})
	t.Run("is stable within a session", func(t *testing.T) {
		t.Parallel()
		if key.Mask("OPENAI_API_KEY") != mask {
			t.Fatal("changed")
		}
	})
	t.Run("differs by secret and by session", func(t *testing.T) {
		t.Parallel()
		if key.Mask("OPENAI_API_KEy") == mask || NewKey().Mask("OPENAI_API_KEY") == mask {
			t.Fatal("the same")
		}
	})
}

func TestNewKeysDiffer(t *testing.T) {
	t.Parallel()
	if a, b := NewKey(), NewKey(); a == b || a == (Key{}) {
		t.Fatal("not random")
	}
}

// TestNothingPrintsASecret puts canaries into each type, and the types through
// each way of making text.
func TestNothingPrintsASecret(t *testing.T) {
	t.Parallel()
	const canary = "canary-value-3f9a7c51"
	key := Key([]byte("canary-key-0123456789-0123456789"))
	value := Value{Name: "A", Mask: key.Mask("A"), Bytes: []byte(canary)}
	table, err := NewTable(key, []Entry{{Name: "A"}})
	if err != nil {
		t.Fatal(err)
	}
	scrubber, err := NewScrubber([]Value{value})
	if err != nil {
		t.Fatal(err)
	}
	reader := scrubber.Reader(strings.NewReader("x "+canary+" "+canary[:9]), Restore, nil)
	if _, err := reader.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	finder := NewFinder([][]byte{[]byte(canary)})
	type exported struct{ V any }
	type pointers struct { // what fmt does not follow
		s *Scrubber
		f *Finder
		t *Table
		r io.Reader
	}
	type nested struct { // what it reads through, not calling any method
		s Scrubber
		f Finder
		t Table
	}
	var secret [][]byte
	for _, v := range [][]byte{[]byte(canary), key[:]} {
		secret = append(secret, forms(v)...)
		secret = append(secret, []byte(strings.Trim(fmt.Sprint(append([]byte(nil), v...)), "[]")), []byte(fmt.Sprintf("%#v", append([]byte(nil), v[:8]...))[7:40]))
	}
	find := NewFinder(secret)

	check := func(verbs string, values ...any) {
		for _, v := range values {
			var texts []string
			for _, verb := range verbs {
				for _, flags := range []string{"", "+", "#", " ", "-20", "0.3"} {
					texts = append(texts, fmt.Sprintf("%"+flags+string(verb), v))
				}
			}
			var log bytes.Buffer
			slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
			slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v, slog.Group("g", "v", v))
			texts = append(texts, fmt.Sprint(v), fmt.Sprintln(v), log.String(), fmt.Errorf("x: %v", v).Error())
			if b, err := json.Marshal(v); err == nil {
				texts = append(texts, string(b))
			}
			if b, err := xml.Marshal(v); err == nil {
				texts = append(texts, string(b))
			}
			for _, text := range texts {
				if start, end, _, ok := find.Next([]byte(text), 0); ok {
					t.Errorf("%T prints %q", v, text[start:end])
				}
			}
		}
	}
	const verbs = "vsqxXdboOcUtTeEfFgG"
	check(verbs, key, &key, value, &value, []Value{value}, map[string]Value{"a": value}, map[string]Key{"a": key}, exported{value}, exported{&key})
	// Also with the verbs for which fmt asks no method, and from within others.
	check(verbs+"pw!", finder, *finder, scrubber, *scrubber, table, *table, reader, exported{scrubber},
		pointers{scrubber, finder, table, reader}, &pointers{scrubber, finder, table, reader}, nested{*scrubber, *finder, *table})
}
