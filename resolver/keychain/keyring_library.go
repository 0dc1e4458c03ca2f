//go:build darwin || windows

package keychain

import (
	"runtime"

	gokeyring "github.com/zalando/go-keyring"
)

func systemKeyring(func(string) string) keyring {
	limit := "about 3000 bytes, with the names"
	if runtime.GOOS == "windows" {
		limit = "2560 bytes"
	}
	return &library{getValue: gokeyring.Get, setValue: gokeyring.Set, missing: gokeyring.ErrNotFound, tooBig: gokeyring.ErrSetDataTooBig,
		limit: limit, turns: make(chan struct{}, maxLeft)}
}
