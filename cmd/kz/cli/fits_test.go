package cli

import (
	"strings"
	"testing"

	"kz/cmd/kz/config"
	"kz/resolver"
)

func TestAValueThatCannotBeMeantIsRefused(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"":    "is empty",
		"\n":  "is empty",
		"x":   "",
		"x\n": "",
		"kz_masked_0123456789abcdef0123456789abcdef":     "looks like a mask",
		`{"a":"sk-kz_masked_0123456789abcdef0123456789"`: "looks like a mask",
	} {
		// Also where nothing is scrubbed.
		err := fits(config.Secret{Name: "K", Expose: config.ExposeMasked}, resolver.NewSecret(value))
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || len(value) > 1 && strings.Contains(err.Error(), value)) {
			t.Errorf("%q: %v", value, err)
		}
		if err := fits(config.Secret{Name: "K", Expose: config.ExposeOmit}, resolver.NewSecret(value)); err != nil {
			t.Errorf("%q in no child's hands: %v", value, err)
		}
	}
}
