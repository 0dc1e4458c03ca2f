package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"
)

// sessionVariable marks the environment of a blind child.
const sessionVariable = "KZ_SESSION"

// outsideOnly guards a command that must not be run by a blind child: one that would give it
// values, or change what it may reach.
//
// A session is known by its variable and by ancestry, so that unsetting the variable is not
// enough; on Linux leaving one's ancestors (setsid, a second fork) is not either, nor is a
// namespace of processes while the session's socket can be seen. It is no wall: a process of
// the same user that removes that socket first, or has another of the user's services start
// something for it, has all that the user has, unless it is isolated.
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
	if a.doubt != "" {
		return withHint(fmt.Errorf("`%s` is refused: it cannot be told whether this is inside a blind session, as %s does not say so to this process", command, a.doubt),
			"a person can run it in another terminal; containers need a state directory each (XDG_STATE_HOME)")
	}
	return withHint(fmt.Errorf("`%s` is refused inside a blind session", command),
		"this program was started by `kz run --blind`; a person can run it in another terminal")
}

// askPatience is how long a session may take to say whether this process is one of its own.
const askPatience = 500 * time.Millisecond

// sessionSaysSo asks the running sessions of this user: what /proc hides from this process (a namespace, hidepid) it may
// not hide from them. Unless it is sure of its ancestors, it counts as inside where one does not answer: a program can keep
// its session from that.
func (a *app) sessionSaysSo(sure bool) bool {
	sockets, all := a.controlSockets()
	type answer struct {
		inside bool
		doubt  string // the socket that gave none
	}
	answers := make(chan answer, len(sockets))
	for _, path := range sockets {
		go func() {
			reply, err := askControl(path, opInside, askPatience)
			ended := isRefused(err) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, errPlanted)
			said := answer{inside: err == nil && reply.Inside}
			if err != nil && !ended && !sure {
				said.doubt = path
			}
			answers <- said
		}()
	}
	doubt := ""
	for range sockets {
		said := <-answers
		if said.inside {
			return true
		}
		doubt = cmp.Or(doubt, said.doubt)
	}
	if doubt == "" && !all && !sure {
		doubt = "one of very many sessions"
	}
	a.doubt = doubt
	return doubt != ""
}
