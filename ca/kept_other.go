//go:build !unix && !windows

package ca

import (
	"fmt"
	"io/fs"
	"os"
)

const openNoFollow = 0

func makeOwn(dir string) error { return os.MkdirAll(dir, 0o700) }

// onlyOwn cannot tell here, so nothing can be kept.
func onlyOwn(name string, _ fs.FileInfo) error {
	return fmt.Errorf("%s: who can reach it is not known on this system: %w", name, ErrUnsafeFile)
}

func syncDir(string) error { return nil }
