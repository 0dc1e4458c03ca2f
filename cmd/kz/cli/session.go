package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

// sessionVariable marks the environment of a blind child.
const sessionVariable = "KZ_SESSION"

// outsideOnly guards a command that must not be run by a blind child: one that would give it
// values, or change what it may reach.
//
// A session is known by its variable and by ancestry, so that unsetting the variable is not
// enough. This stops an agent that tries the obvious. It is no wall: a process of the same
// user that leaves its ancestors (setsid and a second fork) has all that the user has, unless
// it is isolated.
func (a *app) outsideOnly(run func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		if err := a.outsideSession(c.CommandPath()); err != nil {
			return err
		}
		return run(c, args)
	}
}

// outsideSession is an error inside a blind session.
func (a *app) outsideSession(command string) error {
	if _, marked := a.lookupEnv(sessionVariable); !marked && !a.inSession() {
		return nil
	}
	return withHint(fmt.Errorf("`%s` is refused inside a blind session", command),
		"this program was started by `kz run --blind`; a person can run it in another terminal")
}
