//go:build !unix

package cli

import "os"

// accessible reports whether a file is there; who may read it is not known here.
func accessible(path string, _ bool) bool {
	_, err := os.Stat(path)
	return err == nil
}
