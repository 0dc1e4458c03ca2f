package cli

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// envFile renders what a client of `kz proxy` must set, in the form of `docker run --env-file`:
// NAME=value to the end of the line, no quotes, no escapes. CA paths are those that the client
// sees. The file stays on disk, so no real value goes into it: a secret with expose = "plain"
// is left out, and named in leftOut.
func (b *blindEnv) envFile(secrets []envSecret) (file []byte, leftOut []string, err error) {
	var masked []envSecret
	for _, s := range secrets {
		if s.Expose == exposePlain && !s.Field {
			leftOut = append(leftOut, s.Name)
			continue
		}
		masked = append(masked, s)
	}
	spec := envSpec{
		Secrets:  masked,
		Blind:    b,
		Contains: func(string) (string, bool) { return "", false }, // nothing is inherited
	}
	env, _, err := childEnv(spec)
	if err != nil {
		return nil, nil, err
	}
	var out bytes.Buffer
	var errs []error
	for _, entry := range env {
		name, value, _ := splitVar(entry)
		if err := fitsEnvFile(name, value); err != nil {
			errs = append(errs, err)
			continue
		}
		fmt.Fprintf(&out, "%s=%s\n", name, value)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	return out.Bytes(), leftOut, nil
}

// fitsEnvFile: the format has no way to write a line break, and docker refuses what is not UTF-8.
func fitsEnvFile(name, value string) error {
	switch {
	case strings.ContainsAny(name, " \t\r\n\v\f") || strings.HasPrefix(name, "#"):
		return fmt.Errorf("writing the env file: %q cannot be a variable's name there", name)
	case strings.ContainsAny(value, "\r\n\x00"):
		return withHint(fmt.Errorf("writing the env file: the value of %s has a line break, which the format cannot hold", name),
			`leave it out with expose = "omit", or store it encoded`)
	case !utf8.ValidString(value):
		return withHint(fmt.Errorf("writing the env file: the value of %s is not UTF-8", name),
			`leave it out with expose = "omit", or store it encoded`)
	}
	return nil
}
