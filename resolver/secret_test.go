package resolver_test

import (
	"bytes"
	"encoding"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"github.com/goccy/go-yaml"
	"github.com/pelletier/go-toml/v2"

	"kz/resolver"
)

const canary = "canary-9f2c71e0"

type holder struct {
	Public  resolver.Secret
	private resolver.Secret
	Ptr     *resolver.Secret
	List    []resolver.Secret
	Map     map[string]resolver.Secret
	Any     any
	inner   struct{ deep resolver.Secret }
}

func newHolder() *holder {
	s := resolver.NewSecret(canary)
	h := &holder{Public: s, private: s, Ptr: &s, List: []resolver.Secret{s}, Map: map[string]resolver.Secret{"k": s}, Any: s}
	h.inner.deep = s
	return h
}

func clean(t *testing.T, what, got string) {
	t.Helper()
	if strings.Contains(got, canary) || strings.Contains(got, fmt.Sprintf("%x", canary)) {
		t.Errorf("%s shows the value: %s", what, got)
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	s, h := resolver.NewSecret(canary), newHolder()

	t.Run("by any verb of fmt", func(t *testing.T) {
		t.Parallel()
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%T", "%p", "%10s", "%-5v", "%U", "%e"} {
			for what, v := range map[string]any{"a Secret": s, "a pointer": &s, "a struct": *h, "a pointer to a struct": h, "a slice": h.List, "a map": h.Map, "an error": fmt.Errorf("%v", s)} {
				clean(t, verb+" of "+what, fmt.Sprintf(verb, v))
			}
		}
		if got := fmt.Sprint(s); got != "[redacted]" {
			t.Error(got)
		}
		if got := fmt.Sprintf("%s %q %#v", s, s, s); got != "[redacted] [redacted] [redacted]" {
			t.Error(got)
		}
		clean(t, "String", s.String()+s.GoString())
	})
	t.Run("by slog, as an attribute or inside one", func(t *testing.T) {
		t.Parallel()
		var b bytes.Buffer
		for _, l := range []*slog.Logger{slog.New(slog.NewTextHandler(&b, nil)), slog.New(slog.NewJSONHandler(&b, nil))} {
			l.Info("m", "secret", s, "holder", h, "value", *h, slog.Any("list", h.List))
			l.With("secret", s).WithGroup("g").Error("m", "err", errors.New(fmt.Sprint(h)))
		}
		clean(t, "slog", b.String())
		if !strings.Contains(b.String(), "secret=[redacted]") || !strings.Contains(b.String(), `"secret":"[redacted]"`) {
			t.Error(b.String())
		}
	})
	t.Run("by encoders of text", func(t *testing.T) {
		t.Parallel()
		type Exported struct {
			S resolver.Secret
			P *resolver.Secret
		}
		exported := Exported{s, &s}
		for name, marshal := range map[string]func(any) ([]byte, error){"json": json.Marshal, "xml": xml.Marshal, "toml": toml.Marshal, "yaml": yaml.Marshal} {
			text, err := marshal(exported)
			if err != nil || !strings.Contains(string(text), "[redacted]") {
				t.Errorf("%s: %s %v", name, text, err)
			}
			clean(t, name, string(text))
		}
		text, err := json.Marshal(map[resolver.Secret]int{s: 1})
		clean(t, "a JSON key", fmt.Sprint(string(text), err))
	})
	t.Run("by templates", func(t *testing.T) {
		t.Parallel()
		var b bytes.Buffer
		if err := template.Must(template.New("").Parse("{{.Public}} {{.List}} {{printf `%v` .Map}}")).Execute(&b, h); err != nil {
			t.Fatal(err)
		}
		clean(t, "text/template", b.String())
	})
	t.Run("and binary encoders fail", func(t *testing.T) {
		t.Parallel()
		for _, v := range []any{s, &s, struct{ S resolver.Secret }{s}, h.List} {
			var b bytes.Buffer
			if err := gob.NewEncoder(&b).Encode(v); err == nil {
				t.Errorf("gob encodes %T", v)
			}
			clean(t, "gob", b.String())
		}
		var m encoding.BinaryMarshaler = s
		if _, err := m.MarshalBinary(); err == nil {
			t.Error("MarshalBinary succeeds")
		}
	})
}

func TestSecret(t *testing.T) {
	t.Parallel()
	var zero resolver.Secret
	one, same, empty := resolver.NewSecret("one"), resolver.NewSecret("one"), resolver.NewSecret("")
	if one.Reveal() != "one" || zero.Reveal() != "" || empty.Reveal() != "" {
		t.Error("Reveal")
	}
	if !zero.IsZero() || empty.IsZero() || one.IsZero() {
		t.Error("IsZero")
	}
	if !one.Equal(same) || one.Equal(empty) || zero.Equal(empty) || !zero.Equal(zero) || one.Equal(resolver.NewSecret("one ")) {
		t.Error("Equal")
	}
	if one == same {
		t.Error("== compares values")
	}
}
