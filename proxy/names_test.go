package proxy

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"kz/resolver"
)

func TestAValueInTheNameOfAHeaderIsFound(t *testing.T) {
	p, _ := frameProxy(t)
	const value = "Mixed-Case-Value-42\n"
	if err := p.Learn("KEY", resolver.NewSecret(value)); err != nil {
		t.Fatal(err)
	}
	plain := strings.TrimSpace(value)
	for name, want := range map[string]bool{
		"X-" + plain:                                                         true,
		"x-" + strings.ToLower(plain) + "-y":                                 true,
		"X-" + hex.EncodeToString([]byte(plain)):                             true,
		strings.ToUpper(hex.EncodeToString([]byte(plain))):                   true,
		"X-" + base64.RawURLEncoding.EncodeToString([]byte("as "+plain)):     true,
		"X-" + strings.ReplaceAll(plain, "-", "%2D"):                         true,
		"X-%" + strings.Join(strings.Fields(fmt.Sprintf("% x", plain)), "%"): true,
		"X-%2525" + strings.ReplaceAll(plain, "a", "%2561"):                  true,
		"X-" + plain[:len(plain)-1]:                                          false,
		"X-%" + plain[:len(plain)-1] + "%4":                                  false,
		"Access-Control-Allow-Origin-Of-A-Name-That-Is-Long":                 false,
	} {
		if got := p.scrubbers().inName(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAFormEncodedValueInTheNameOfAHeaderIsFound(t *testing.T) {
	t.Parallel()
	p, _ := frameProxy(t)
	if err := p.Learn("KEY", resolver.NewSecret("A value, of + words")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"X-A+value%2C+of+%2B+words": true, "x-a%20value%2c%20of%20%2b%20words": true, "X-A-Value-Of-Words": false} {
		if got := p.scrubbers().inName(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
