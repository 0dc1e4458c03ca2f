// Command sdks links the stores' SDKs as kz does, and waits: the memory that a program has for them alone.
package main

import (
	"fmt"
	"io"
	"os"

	_ "kz/resolver/awssm"
	_ "kz/resolver/vault"
)

func main() {
	fmt.Println("READY")
	_, _ = io.Copy(io.Discard, os.Stdin)
}
