package cli

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"kz/cmd/kz/config"
)

func newReloadCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Have running sessions read configuration and secrets again",
		Long: `Every kz proxy and kz run --blind of this user reads its approved configuration again and
fetches its values anew; old values go on being scrubbed. Hosts, places and ranges of the
secrets it has, and mode, intercept, allow and deny of [egress], take effect at once, also
on open connections. Everything else waits for the next start, and is named. Masks never
change. A configuration with a problem, or one that is not approved, changes nothing.`,
		Example: "  kz trust && kz reload",
		Args:    arguments(),
		RunE:    a.outsideOnly(func(c *cobra.Command, _ []string) error { return a.reloadAll() }),
	}
}

// reloadAll asks every session at the same time and reports in their order.
func (a *app) reloadAll() error {
	sockets, whole := a.controlSockets()
	replies := make([]controlReply, len(sockets))
	errs := make([]error, len(sockets))
	var all sync.WaitGroup
	for i, path := range sockets {
		all.Go(func() { replies[i], errs[i] = askControl(path, opReload, reloadPatience+5*time.Second) })
	}
	all.Wait()
	reached := 0
	var problems []error
	if !whole {
		problems = append(problems, fmt.Errorf("there are more than %d control sockets; not every session was asked", maxControlSockets))
	}
	for i, r := range replies {
		switch {
		case errs[i] != nil && isRefused(errs[i]): // its process was killed
			continue
		case errors.Is(errs[i], errPlanted):
			a.ui.Warnf("%s is no session: %v", oneLine(sockets[i]), errPlanted)
			continue
		case errs[i] != nil:
			problems = append(problems, fmt.Errorf("a session did not answer: %s", sockets[i]))
			continue
		}
		reached++
		name := r.Command + " " + r.Session
		for _, e := range r.Errors {
			problems = append(problems, fmt.Errorf("%s: %s", name, e))
		}
		for _, n := range r.Notes {
			a.ui.Notef("%s: %s", name, n)
		}
		if len(r.Changed) > 0 {
			a.ui.Notef("%s: new values of %s", name, strings.Join(r.Changed, ", "))
		} else if len(r.Errors) == 0 {
			a.ui.Notef("%s: every value is as before", name)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	if reached == 0 {
		return withHint(errors.New("no session of this user is running"), "`kz proxy` or `kz run --blind` starts one")
	}
	a.ui.Notef("reloaded %s", plural(reached, "session"))
	return nil
}

// reloader reads a session's configuration again, as it was read at the start.
type reloader struct {
	app    *app
	config string
	env    string
	only   []string
}

func (r reloader) read() (*config.Config, []config.Secret, error) {
	cfg, err := r.app.load(r.config, r.env)
	if err != nil {
		return nil, nil, err
	}
	if err := noConfiguration(cfg); err != nil {
		return nil, nil, err
	}
	secrets, err := choose(cfg.Secrets, r.only)
	return cfg, secrets, err
}

// openControl opens the session's control socket. Without one the session works all the same.
func (a *app) openControl(s *blind, command string, r reloader) *controlServer {
	var one sync.Mutex
	c, err := a.newControl(s.ID, command, func(ctx context.Context) controlReply {
		one.Lock()
		defer one.Unlock()
		return s.reload(ctx, r)
	})
	if err != nil {
		a.ui.Warnf("`kz reload` will not reach this session: %v", err)
		return nil
	}
	c.metrics = func() string { return metricsOf(s.ID, s.cache.Report()) }
	go c.serve()
	return c
}

// reload takes what may change in a running session from a newly read configuration, all of it or nothing, and fetches
// every value.
func (s *blind) reload(ctx context.Context, r reloader) (reply controlReply) {
	problem := func(err error) {
		for _, f := range flatten(err) {
			text := f.text
			if f.hint != "" {
				text += " (" + f.hint + ")"
			}
			reply.Errors = append(reply.Errors, s.redact(printable(text)))
		}
	}
	cfg, secrets, err := r.read()
	if err == nil {
		err = r.app.openFileVariables(cfg, false)
	}
	if err == nil {
		chosen := *cfg
		chosen.Secrets = secrets
		err = chosen.Blind(s.options.AnyHost)
	}
	if err != nil {
		problem(err)
	} else {
		var next []config.Secret
		next, reply.Notes = s.merge(cfg, secrets)
		s.proxy.SetPolicy(s.policyOf(cfg, next))
	}
	reply.Changed, err = s.cache.Renew(ctx, s.names())
	if err != nil {
		problem(grouped(err))
	}
	return reply
}

func (s *blind) names() []string { return secretNames(s.secrets) }

// merge lays what may change over the session's own secrets, and says what waits for the next start. A secret that is gone
// keeps its mask, which is good for nothing any more.
func (s *blind) merge(cfg *config.Config, secrets []config.Secret) (next []config.Secret, notes []string) {
	for _, old := range s.secrets {
		i := slices.IndexFunc(secrets, func(sec config.Secret) bool { return sec.Name == old.Name })
		merged := old
		if i < 0 {
			merged.Hosts, merged.Service, merged.Ranges = nil, "", false
			merged.Expose = config.ExposeOmit // else --any-host would let it go anywhere
			notes = append(notes, old.Name+" is not in the configuration any more: its mask is swapped nowhere from now on")
		} else {
			merged.Hosts, merged.Places, merged.Ranges = secrets[i].Hosts, secrets[i].Places, secrets[i].Ranges
			merged.Service = secrets[i].Service
			notes = append(notes, widened(old, merged)...)
			if !sameButPosition(merged, secrets[i]) {
				notes = append(notes, old.Name+": more than its hosts, swap and ranges has changed; the rest takes effect at the next start")
			}
		}
		next = append(next, merged)
	}
	for _, sec := range secrets {
		if _, known := s.find(sec.Name); !known {
			notes = append(notes, sec.Name+" is new; programs get it at the next start")
		}
	}
	before, after := s.cfg.Egress, cfg.Egress
	before.Mode, before.Intercept, before.Allow, before.Deny = after.Mode, after.Intercept, after.Allow, after.Deny
	if !reflect.DeepEqual(before, after) {
		notes = append(notes, "[egress]: allow_private, resolve, upstream_ca and upstream_proxy take effect at the next start")
	}
	if !sameBackends(s.cfg.Backends, cfg.Backends) {
		notes = append(notes, "[backends]: what has changed takes effect at the next start")
	}
	return next, notes
}

// widened says where a secret may go that it could not go when the session began: whoever can write a file named with
// --config, which nobody approves, could have put it there.
func widened(old, now config.Secret) (notes []string) {
	if hosts := added(old.Hosts, now.Hosts); len(hosts) > 0 {
		notes = append(notes, old.Name+" may go to "+strings.Join(hosts, ", ")+" from now on, as it could not at the start")
	}
	if places := added(old.Places, now.Places); len(places) > 0 {
		notes = append(notes, old.Name+" is swapped at "+strings.Join(places, ", ")+" from now on, as it was not at the start")
	}
	return notes
}

// added are those of now that are not among old.
func added[T fmt.Stringer](old, now []T) (names []string) {
	for _, n := range now {
		if !slices.ContainsFunc(old, func(o T) bool { return o.String() == n.String() }) {
			names = append(names, n.String())
		}
	}
	return names
}

func sameButPosition(a, b config.Secret) bool {
	a.Pos, b.Pos = config.Pos{}, config.Pos{}
	return reflect.DeepEqual(a, b)
}

func sameBackends(a, b map[string]config.Backend) bool {
	plain := func(m map[string]config.Backend) map[string]config.Backend {
		out := make(map[string]config.Backend, len(m))
		for name, backend := range m {
			backend.Pos = config.Pos{}
			settings := make(map[string]config.Setting, len(backend.Settings))
			for key, setting := range backend.Settings {
				setting.Pos = config.Pos{}
				settings[key] = setting
			}
			backend.Settings = settings
			out[name] = backend
		}
		return out
	}
	return reflect.DeepEqual(plain(a), plain(b))
}
