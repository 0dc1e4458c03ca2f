// Command sdks links the stores' SDKs as kz does, and waits: the memory that a program has for them alone.
package main

import (
	"fmt"
	"io"
	"os"

	_ "kz/resolver/agefile"
	_ "kz/resolver/awssm"
	_ "kz/resolver/awsssm"
	_ "kz/resolver/awssts"
	_ "kz/resolver/azurekv"
	_ "kz/resolver/gcpsm"
	_ "kz/resolver/keychain"
	_ "kz/resolver/local"
	_ "kz/resolver/onepassword"
	_ "kz/resolver/vault"
)

func main() {
	fmt.Println("READY")
	_, _ = io.Copy(io.Discard, os.Stdin)
}
