// Command kz runs programs blind: they hold masks, a local proxy holds the secrets.
package main

import (
	"os"

	"kz/cmd/kz/cli"
)

func main() { os.Exit(cli.Main()) }
