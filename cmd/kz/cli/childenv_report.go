package cli

import "strings"

// tell says what the child's environment lacks, or has, against expectation. That the parent's
// credentials for the stores are gone is what blind mode is for, so nothing is said of it.
func (r envReport) tell(u *ui) {
	if len(r.Dropped) > 0 {
		u.Notef("dropped %s: like credentials, but not managed; to keep: --keep-env %s",
			strings.Join(r.Dropped, ", "), strings.Join(r.Dropped, ","))
	}
	for _, h := range r.Held {
		u.Warnf("removed the variable %s: it contains the value of secret %q", h.Name, h.Secret)
	}
	for _, name := range r.Plain {
		u.Warnf(`the child sees the real value of secret %q (expose = "plain")`, name)
	}
}
