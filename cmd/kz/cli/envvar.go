package cli

import "strings"

// splitVar takes one entry of an environment apart. Entries without a name are not variables.
func splitVar(entry string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(entry, "=")
	return name, value, ok && name != ""
}
