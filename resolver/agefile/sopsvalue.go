package agefile

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// macOnlyPrefix begins the MAC of a file whose MAC is over encrypted values only, so that one kind cannot pass for the
// other (MACOnlyEncryptedInitialization in sops).
var macOnlyPrefix, _ = hex.DecodeString("8a3fd2ad54ce66527b1034f3d147be0b0b975b3bf44f72c6fdadec8176f27d69")

// decryptTree decrypts the values in place and checks the MAC. The tree must not be used when there is an error: each
// value is authentic by itself and bound to its key, but others may have been taken away, added in plain or reordered.
func decryptTree(tree *branch, m metadata, key []byte) error {
	block, err := aes.NewCipher(key)
	if err != nil || len(key) != 32 {
		return tampered
	}
	d := &decrypter{metadata: m, block: block, mac: sha512.New()}
	if m.macOnly {
		d.mac.Write(macOnlyPrefix)
	}
	if _, err := d.value(tree, nil); err != nil {
		return err
	}
	said, err := decryptValue(block, m.mac, m.modified)
	if err != nil {
		return err
	}
	want := strings.ToUpper(hex.EncodeToString(d.mac.Sum(nil)))
	if text, ok := said.(string); !ok || subtle.ConstantTimeCompare([]byte(text), []byte(want)) != 1 {
		return tampered
	}
	return nil
}

type decrypter struct {
	metadata
	block cipher.Block
	mac   hash.Hash
}

// value decrypts what is at a path of keys; places in lists are no part of it.
func (d *decrypter) value(value any, path []string) (any, error) {
	var err error
	switch v := value.(type) {
	case nil:
		return nil, nil // sops neither encrypts a null nor has it in the MAC
	case *branch:
		for i, it := range v.items {
			if v.items[i].value, err = d.value(it.value, append(slices.Clip(path), it.key)); err != nil {
				return nil, err
			}
		}
		return v, nil
	case []any:
		list := []any{}
		for _, e := range v {
			if e, err = d.value(e, path); err != nil {
				return nil, err
			}
			if _, is := e.(comment); !is { // sops makes an item of a comment before the first one of a list
				list = append(list, e)
			}
		}
		return list, nil
	}
	encrypted := d.encrypted(path)
	if encrypted {
		text, ok := value.(string)
		if !ok {
			return nil, tampered
		}
		if value, err = decryptValue(d.block, text, strings.Join(path, ":")+":"); err != nil {
			return nil, err
		}
	}
	if encrypted || !d.macOnly {
		d.mac.Write(macBytes(value)) // of a comment nothing
	}
	if b, ok := value.([]byte); ok {
		if utf8.Valid(b) {
			return string(b), nil
		}
		return base64.StdEncoding.EncodeToString(b), nil
	}
	return value, nil
}

var encrypted = regexp.MustCompile(`^ENC\[AES256_GCM,data:([A-Za-z0-9+/=]*),iv:([A-Za-z0-9+/=]+),tag:([A-Za-z0-9+/=]+),type:([a-z]+)\]$`)

// decryptValue decrypts one value: AES-256 in GCM with a nonce of 32 bytes, bound to where it stands. sops leaves empty
// values as they are; the MAC holds them.
func decryptValue(block cipher.Block, text, bound string) (any, error) {
	if text == "" {
		return "", nil
	}
	parts := encrypted.FindStringSubmatch(text)
	if parts == nil {
		return nil, tampered
	}
	var raw [3][]byte // data, nonce, tag
	for i := range raw {
		var err error
		if raw[i], err = base64.StdEncoding.DecodeString(parts[i+1]); err != nil {
			return nil, tampered
		}
	}
	const nonce, tag = 32, 16
	if len(raw[1]) != nonce || len(raw[2]) != tag {
		return nil, tampered
	}
	gcm, err := cipher.NewGCMWithNonceSize(block, nonce)
	if err != nil {
		return nil, tampered
	}
	plain, err := gcm.Open(nil, raw[1], append(raw[0], raw[2]...), []byte(bound))
	if err != nil {
		return nil, tampered
	}
	return typed(string(plain), parts[4])
}

// comment is a decrypted comment: it is no value, and not in the MAC.
type comment struct{}

// typed is a decrypted value of the type that sops noted. That note is not authentic: the MAC is the same for 1 and "1".
func typed(plain, typ string) (v any, err error) {
	switch typ {
	case "str":
		v = plain
	case "int":
		v, err = strconv.Atoi(plain)
	case "float":
		v, err = strconv.ParseFloat(plain, 64)
	case "bool":
		v, err = strconv.ParseBool(plain)
	case "bytes":
		v = []byte(plain)
	case "comment":
		v = comment{}
	case "time":
		v, err = time.Parse(time.RFC3339Nano, plain)
	default:
		return nil, tampered
	}
	if err != nil {
		return nil, tampered
	}
	return v, nil
}

// macBytes is a value as the MAC has it (ToBytes in sops).
func macBytes(value any) []byte {
	switch v := value.(type) {
	case string:
		return []byte(v)
	case int:
		return strconv.AppendInt(nil, int64(v), 10)
	case float64:
		return strconv.AppendFloat(nil, v, 'f', -1, 64)
	case bool:
		if v {
			return []byte("True")
		}
		return []byte("False")
	case time.Time:
		text, _ := v.MarshalText()
		return text
	case []byte:
		return v
	}
	return nil
}
