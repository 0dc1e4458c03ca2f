package ca

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"
)

func TestAnAuthorityIsUnprintable(t *testing.T) {
	t.Parallel()
	a := newTestAuthority(t, Options{})
	d, err := a.key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	keyPEM := strings.Split(string(mustKeyPEM(t, a)), "\n")
	canaries := []string{
		keyPEM[1], hex.EncodeToString(d), strings.ToUpper(hex.EncodeToString(d)), base64.StdEncoding.EncodeToString(d),
		new(big.Int).SetBytes(d).String(), fmt.Sprint(d), strings.Trim(fmt.Sprintf("%#v", d), "{}[]byte"),
	}
	holder := struct {
		A *Authority
		B Authority
		c *Authority
		d Authority
	}{a, *a, a, *a}

	check := func(how, printed string, mustSayRedacted bool) {
		t.Helper()
		for _, c := range canaries {
			if strings.Contains(printed, c) {
				t.Errorf("%s prints the key", how)
			}
		}
		if mustSayRedacted && !strings.Contains(printed, redacted) {
			t.Errorf("%s prints %q", how, printed)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%T %v"} {
		args := strings.Count(verb, "%")
		for how, v := range map[string]any{"pointer": a, "value": *a, "holder": holder, "error": fmt.Errorf("wrapped: %v", a)} {
			in := []any{v, v}[:args]
			check(verb+" of "+how, fmt.Sprintf(verb, in...), (how == "pointer" || how == "value") && verb != "%p" && args == 1)
		}
	}
	m, err := NewMinter(a, MinterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	check("%+v of a minter", fmt.Sprintf("%+v %#v", m, m), false)

	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		log.Reset()
		slog.New(h).Info("ready", "authority", a, "value", *a, "holder", holder)
		check(fmt.Sprintf("%T", h), log.String(), true)
	}
	check("slog's value", slog.AnyValue(a).Resolve().String(), true) // what a handler of another make gets
	if k := slog.AnyValue(a).Resolve().Kind(); k != slog.KindString {
		t.Errorf("slog gets a %s, want a string", k)
	}
	encoded, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	check("json", string(encoded), true)
}
