//go:build linux || freebsd || netbsd || openbsd || dragonfly

package keychain

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/godbus/dbus/v5"

	"kz/resolver"
)

// https://specifications.freedesktop.org/secret-service-spec/latest/
const (
	secrets        = "org.freedesktop.secrets"
	service        = "org.freedesktop.Secret.Service"
	collection     = "org.freedesktop.Secret.Collection"
	item           = "org.freedesktop.Secret.Item"
	prompt         = "org.freedesktop.Secret.Prompt"
	servicePath    = dbus.ObjectPath("/org/freedesktop/secrets")
	loginPath      = servicePath + "/collection/login"
	nowhere        = dbus.ObjectPath("/")
	contentType    = "text/plain; charset=utf8" // go-keyring's
	getProperty    = "org.freedesktop.DBus.Properties.Get"
	isLockedError  = "org.freedesktop.Secret.Error.IsLocked"
	noObjectError  = "org.freedesktop.Secret.Error.NoSuchObject"
	busErrorPrefix = "org.freedesktop.DBus.Error."
)

// secretService is the keyring of the user's session. Each call has a connection of its own, which ends with it.
type secretService struct {
	getenv  func(string) string
	asking  chan struct{} // holds the one call that may ask for the keyring's password
	refused atomic.Int64  // how often that was refused
}

func systemKeyring(getenv func(string) string) keyring {
	return &secretService{getenv: getenv, asking: make(chan struct{}, 1)}
}

// conversation is one connection with an open session. The session is a plain one: encrypting it would keep nothing from
// a program on the same bus, which can ask for the entry itself.
type conversation struct {
	*secretService
	ctx     context.Context
	conn    *dbus.Conn
	session dbus.ObjectPath
}

// secretValue is the Secret struct of the specification.
type secretValue struct {
	Session     dbus.ObjectPath
	Parameters  []byte
	Value       []byte
	ContentType string
}

func (s *secretService) get(ctx context.Context, serviceName, account string) (value string, err error) {
	err = s.talk(ctx, func(c *conversation) error {
		path, err := c.find(serviceName, account)
		if err != nil {
			return err
		}
		if path == "" {
			return notFound(serviceName, account)
		}
		var found secretValue
		if err := c.call(path, item+".GetSecret", c.session).Store(&found); err != nil {
			return err
		}
		value = string(found.Value)
		return nil
	})
	return value, err
}

func (s *secretService) set(ctx context.Context, serviceName, account, value string) error {
	return s.talk(ctx, func(c *conversation) error {
		secret := secretValue{c.session, []byte{}, []byte(value), contentType}
		path, err := c.find(serviceName, account)
		if err != nil {
			return err
		}
		if path != "" {
			return c.call(path, item+".SetSecret", secret).Err
		}
		into, err := c.collection()
		if err != nil {
			return err
		}
		if err := c.unlock(into); err != nil {
			return err
		}
		properties := map[string]dbus.Variant{
			item + ".Label":      dbus.MakeVariant("Password for '" + account + "' on '" + serviceName + "'"),
			item + ".Attributes": dbus.MakeVariant(attributes(serviceName, account)),
		}
		var made, ask dbus.ObjectPath
		if err := c.call(into, collection+".CreateItem", properties, secret, true).Store(&made, &ask); err != nil {
			return err
		}
		return c.answer(ask)
	})
}

// check opens a session, for which nothing needs to be unlocked.
func (s *secretService) check(ctx context.Context) error {
	return s.talk(ctx, func(*conversation) error { return nil })
}

func attributes(serviceName, account string) map[string]string {
	return map[string]string{"service": serviceName, "username": account} // go-keyring's
}

// talk makes a connection and a session for what do does.
func (s *secretService) talk(ctx context.Context, do func(*conversation) error) error {
	address, err := s.address()
	if err != nil {
		return err
	}
	// The connection lives a moment longer than ctx, so that a prompt can be taken back.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	stop := context.AfterFunc(ctx, end)
	conn, err := dbus.Connect(address, dbus.WithContext(life), dbus.WithAuth(dbus.AuthExternal(strconv.Itoa(os.Geteuid()))))
	stop()
	if err != nil {
		return explain(ctx, err)
	}
	defer conn.Close()
	c := &conversation{secretService: s, ctx: ctx, conn: conn}
	var output dbus.Variant
	if err := c.call(servicePath, service+".OpenSession", "plain", dbus.MakeVariant("")).Store(&output, &c.session); err != nil {
		return explain(ctx, err)
	}
	return explain(ctx, do(c))
}

// address is where the user's own session has its bus. Of the kinds of address only sockets are taken: others would run
// a program, or lead into the network.
func (s *secretService) address() (string, error) {
	address := s.getenv("DBUS_SESSION_BUS_ADDRESS")
	if address == "" {
		dir := s.getenv("XDG_RUNTIME_DIR")
		if dir == "" {
			dir = "/run/user/" + strconv.Itoa(os.Getuid())
		}
		socket := filepath.Join(dir, "bus")
		if info, err := os.Stat(socket); err != nil || info.Mode()&os.ModeSocket == 0 {
			return "", &resolver.Error{Kind: resolver.Unavailable, Message: "there is no session bus here, and so no keyring",
				Advice: "start kz from a desktop session, or with a keyring of its own (dbus-run-session, gnome-keyring-daemon --unlock); on a machine without one use the type local"}
		}
		address = "unix:path=" + dbus.EscapeBusAddressValue(socket)
	}
	for _, part := range strings.Split(address, ";") {
		if part != "" && !strings.HasPrefix(part, "unix:path=") && !strings.HasPrefix(part, "unix:abstract=") {
			return "", &resolver.Error{Kind: resolver.InvalidReference, Message: "DBUS_SESSION_BUS_ADDRESS is not the address of a socket", Advice: "set it as the session has it: unix:path=/run/user/UID/bus"}
		}
	}
	return address, nil
}

func (c *conversation) call(path dbus.ObjectPath, method string, args ...any) *dbus.Call {
	return c.conn.Object(secrets, path).CallWithContext(c.ctx, method, 0, args...)
}

// find is the entry, unlocked; "" when there is none. A collection that is locked may not tell what it has.
func (c *conversation) find(serviceName, account string) (dbus.ObjectPath, error) {
	for again := false; ; again = true {
		var open, closed []dbus.ObjectPath
		if err := c.call(servicePath, service+".SearchItems", attributes(serviceName, account)).Store(&open, &closed); err != nil {
			return "", err
		}
		switch all := append(open, closed...); {
		case len(all) > 1:
			return "", &resolver.Error{Kind: resolver.InvalidReference, Message: "the keychain has more than one such entry", Advice: "remove all but one, with Passwords and Keys for example"}
		case len(open) == 1:
			return open[0], nil
		case len(closed) == 1:
			return closed[0], c.unlock(closed[0])
		}
		into, err := c.collection()
		var none *resolver.Error
		switch {
		case again, errors.As(err, &none):
			return "", nil
		case err != nil:
			return "", err
		}
		var isLocked dbus.Variant
		if err := c.call(into, getProperty, collection, "Locked").Store(&isLocked); err != nil || isLocked.Value() != true {
			return "", err
		}
		if err := c.unlock(into); err != nil {
			return "", err
		}
	}
}

// collection is where new entries go: as go-keyring has it, the one named login, else the default one.
func (c *conversation) collection() (dbus.ObjectPath, error) {
	var all dbus.Variant
	if err := c.call(servicePath, getProperty, service, "Collections").Store(&all); err != nil {
		return "", err
	}
	paths, _ := all.Value().([]dbus.ObjectPath)
	for _, path := range paths {
		if path == loginPath {
			return path, nil
		}
	}
	var path dbus.ObjectPath
	if err := c.call(servicePath, service+".ReadAlias", "default").Store(&path); err != nil {
		return "", err
	}
	if path == nowhere {
		return "", &resolver.Error{Kind: resolver.Unavailable, Message: "the session has no default keyring",
			Advice: "make one, with Passwords and Keys for example, or start it: gnome-keyring-daemon --unlock"}
	}
	return path, nil
}

// unlock unlocks what may be unlocked already. Of many calls one asks; a refusal is one for all that waited.
func (c *conversation) unlock(path dbus.ObjectPath) error {
	before := c.refused.Load()
	select {
	case c.asking <- struct{}{}:
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
	defer func() { <-c.asking }()
	if c.refused.Load() != before {
		return locked()
	}
	var unlocked []dbus.ObjectPath
	var ask dbus.ObjectPath
	if err := c.call(servicePath, service+".Unlock", []dbus.ObjectPath{path}).Store(&unlocked, &ask); err != nil {
		return err
	}
	return c.answer(ask)
}

// answer lets the keyring ask its user, and waits for that. What nobody answers in time is taken back.
func (c *conversation) answer(ask dbus.ObjectPath) error {
	if ask == nowhere {
		return nil
	}
	completed := false
	defer func() {
		if !completed {
			c.conn.Object(secrets, ask).Go(prompt+".Dismiss", dbus.FlagNoReplyExpected, nil)
		}
	}()
	signals := make(chan *dbus.Signal, 8)
	c.conn.Signal(signals)
	if err := c.conn.AddMatchSignalContext(c.ctx, dbus.WithMatchObjectPath(ask), dbus.WithMatchInterface(prompt)); err != nil {
		return err
	}
	if err := c.call(ask, prompt+".Prompt", "").Err; err != nil {
		return err
	}
	for {
		select {
		case signal, ok := <-signals:
			if !ok {
				return dbus.ErrClosed
			}
			if signal.Path != ask || signal.Name != prompt+".Completed" || len(signal.Body) == 0 {
				continue
			}
			completed = true
			if dismissed, _ := signal.Body[0].(bool); dismissed {
				c.refused.Add(1)
				return locked()
			}
			return nil
		case <-c.ctx.Done():
			return c.ctx.Err()
		}
	}
}

// explain makes an error of this module from one of the bus. Of that, only its name is used.
func explain(ctx context.Context, err error) error {
	var typed *resolver.Error
	var answer dbus.Error
	switch {
	case err == nil, errors.As(err, &typed):
		return err
	case ctx.Err() != nil:
		return ended(ctx)
	case !errors.As(err, &answer):
		e := resolver.Transport(err)
		e.Advice = "check DBUS_SESSION_BUS_ADDRESS, and that the session's bus runs"
		return e
	case answer.Name == isLockedError:
		return locked()
	case answer.Name == noObjectError:
		return &resolver.Error{Kind: resolver.NotFound, Code: "NoSuchObject", Message: "the entry has just been removed", Advice: "write it again: kz put NAME"}
	}
	e := &resolver.Error{Kind: resolver.Unavailable, Message: "the keyring fails", Advice: "see whether it can be opened with Passwords and Keys, or secret-tool"}
	code, ours := strings.CutPrefix(answer.Name, busErrorPrefix)
	switch {
	case !ours:
	case code == "ServiceUnknown", code == "NameHasNoOwner", strings.HasPrefix(code, "Spawn."):
		e.Message = "no keyring (Secret Service) runs on the session's bus"
		e.Advice = "install and start one (gnome-keyring, KWallet, KeePassXC), or use the type local"
	case code == "AccessDenied":
		e.Kind, e.Code, e.Message = resolver.AccessDenied, code, "the session's bus does not let kz speak to the keyring"
		e.Advice = "check the policy of the bus, and whether kz runs in a sandbox"
	case code == "NoReply", code == "Timeout", code == "TimedOut", code == "Disconnected":
		e.Code, e.Message, e.Advice = code, "the keyring ended before it answered", "try again"
	}
	return e
}
