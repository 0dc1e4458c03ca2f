package cli

import (
	"strings"

	"kz/cmd/kz/config"
)

// serviceList is the list of the known services, by their names.
func serviceList() string {
	var b strings.Builder
	for _, s := range config.Services() {
		b.WriteString("\n  " + s.Name + "\n")
		paragraph(&b, 6, strings.Join(s.Variables, ", "))
		where := "to " + strings.Join(s.Hosts, ", ")
		if s.Own != "" {
			where = "to a host of your own, as in " + s.Own
		}
		if len(s.Places) > 0 {
			where += "; in " + strings.Join(s.Places, ", ")
		}
		if s.Mask != "" {
			where += "; mask " + s.Mask
		}
		if len(s.Keys) > 0 {
			where += "; keys begin with " + strings.Join(s.Keys, ", ")
		}
		paragraph(&b, 6, where)
	}
	return b.String()
}
