package masking

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
)

// Prefix is what every mask begins with; 32 lower-case hex digits follow.
const Prefix = "kz_masked_"

// Len is the length of a mask in bytes.
const Len = len(Prefix) + maskDigits

const maskDigits = 32

// Key is the key of one session, from which its masks are made. Its bytes are
// secret: it formats, logs and marshals as a placeholder (except with %p and %w,
// which do not fit it: then fmt asks no method, and vet complains).
type Key [32]byte

// NewKey makes a key from the system's random source.
func NewKey() Key {
	var k Key
	_, _ = rand.Read(k[:]) // never fails: documented to end the program instead
	return k
}

// Mask returns the mask of the named secret: [Prefix] and the first 128 bits of
// HMAC-SHA256(k, name) in hex. It says nothing of the secret's value.
func (k Key) Mask(name string) string {
	mac := hmac.New(sha256.New, k[:])
	mac.Write([]byte(name))
	return Prefix + hex.EncodeToString(mac.Sum(nil)[:maskDigits/2])
}

// Format writes a placeholder, whatever the verb.
func (Key) Format(s fmt.State, verb rune) { hidden{}.Format(s, verb) }

// LogValue is a placeholder.
func (Key) LogValue() slog.Value { return hidden{}.LogValue() }

// MarshalText is a placeholder: a key is stored through its bytes, knowingly.
func (Key) MarshalText() ([]byte, error) { return hidden{}.MarshalText() }

// isMask says whether s begins with something of the form of a mask.
func isMask(s string) bool {
	if len(s) < Len || s[:len(Prefix)] != Prefix {
		return false
	}
	for i := len(Prefix); i < Len; i++ {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
