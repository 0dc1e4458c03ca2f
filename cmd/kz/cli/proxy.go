package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"kz/proxy/policy"
)

func newProxyCmd(a *app) *cobra.Command {
	c := proxyCommand(a.proxy)
	c.RunE = a.outsideOnly(c.RunE)
	return c
}

// proxy is `kz proxy`: a session that lasts until it is told to stop.
func (a *app) proxy(ctx context.Context, f proxyFlags) error {
	advertise, err := advertised(f.Listen, f.Advertise)
	if err != nil {
		return err
	}
	if f.Metrics != "" {
		if f.Metrics, err = sideAddress("--metrics", "9464", f.Metrics); err != nil {
			return err
		}
	}
	if f.Health != "" {
		if f.Health, err = sideAddress("--health", "9465", f.Health); err != nil {
			return err
		}
	}
	cfg, err := a.load(f.Config, f.Env)
	if err != nil {
		return err
	}
	if err := errors.Join(noConfiguration(cfg), cfg.Blind(false)); err != nil {
		return err
	}
	id, err := a.proxyIdentity(cfg, f)
	if err != nil {
		return err
	}
	s, err := a.newBlind(cfg, cfg.Secrets, blindOptions{Strict: true, Audit: f.Audit, LogLevel: f.LogLevel, Identity: id})
	if err != nil {
		return err
	}
	defer s.close()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	if os.Getpid() == 1 { // in a container, where what others leave behind is its to see to
		if err := adoptOrphans(); err != nil {
			return err
		}
	}
	// Before the stores are asked: a prober need not wait for one that is slow.
	state := &life{report: s.cache.Report, fetch: func(ctx context.Context, name string) { _, _ = s.cache.Get(ctx, name) }, now: a.now}
	for _, one := range sides(
		side{flag: "--metrics", address: f.Metrics, what: "metrics", tells: "they name the backends", routes: metricsRoutes(s.ID, s.cache.Report)},
		side{flag: "--health", address: f.Health, what: "health", tells: "it names the backends", routes: state.routes()},
	) {
		stopSide, err := a.serveSide(one)
		if err != nil {
			return err
		}
		defer stopSide()
	}
	watched := a.watch(s.cache, s.names(), runPatience)
	err = s.resolve(ctx)
	watched()
	if err != nil {
		return err
	}
	a.ui.Redact(s.redact)
	l, err := net.Listen("tcp", f.Listen)
	if err != nil {
		return withHint(fmt.Errorf("listening on %s: %s", f.Listen, because(err)), "choose another address with --listen; 127.0.0.1:0 takes a free port")
	}
	if !onLoopback(l.Addr()) {
		a.ui.Warnf("%s can be reached from other machines; what clients send to the proxy itself, its credential included, is not encrypted on the way", l.Addr())
		a.ui.Hintf("let only the network of the clients reach it")
	}
	served := make(chan error, 1)
	go func() { served <- s.proxy.Serve(l) }()
	defer a.openControl(s, "kz proxy", reloader{a, f.Config, f.Env, nil}).close()
	remove, err := a.announce(ctx, s, f, advertise(l.Addr().String()))
	if err != nil {
		return err
	}
	defer remove()
	state.set(serving)
	select {
	case <-ctx.Done():
	case err := <-served:
		return fmt.Errorf("serving: %w", err)
	}
	state.set(stopping)
	grace, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	defer cutShort(cancel)()
	stop()
	a.ui.Notef("stopping; what is in flight has %s", shutdownGrace)
	if err := s.proxy.Shutdown(grace); err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		return err
	}
	s.tally.tellTotals(a.ui)
	tellAudit(a.ui, s.audit)
	return nil
}

// cutShort calls cancel at the next signal, until stop: what is in flight then ends at once, and what the proxy leaves behind
// is still taken away. The first process of a container would not die of the signal itself.
func cutShort(cancel func()) (stop func()) {
	again, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(again, syscall.SIGTERM, os.Interrupt)
	go func() {
		select {
		case <-again:
			cancel()
		case <-done:
		}
	}()
	return func() { signal.Stop(again); close(done) }
}

// onLoopback asks the listener itself: what a name stands for is not kz's to decide.
func onLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// advertised checks the listen address and says how clients reach it.
func advertised(listen, advertise string) (func(listening string) string, error) {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, misuse("as in --listen 127.0.0.1:8080", "--listen takes an address and a port")
	}
	ip, err := netip.ParseAddr(host)
	loopback := host == "localhost" || err == nil && ip.IsLoopback()
	if !loopback && advertise == "" {
		return nil, misuse("as in --advertise host.docker.internal", "an address that is not loopback needs --advertise, what clients dial")
	}
	if advertise == "" {
		return func(listening string) string { return listening }, nil
	}
	const portOfListener = 1 // stands for a port that is known once kz listens
	a, err := policy.ParseAuthority(advertise, portOfListener)
	if err != nil {
		return nil, misuse("as in --advertise host.docker.internal, or with a port", "--advertise takes a host, and a port if it is not the listener's: %w", err)
	}
	return func(listening string) string {
		if ap, err := netip.ParseAddrPort(listening); err == nil && a.Port == portOfListener {
			a.Port = ap.Port()
		}
		return a.String()
	}, nil
}

// announce puts the CA files and the env file where they are wanted and prints what a client must set. remove takes away
// what should not outlive the proxy.
func (a *app) announce(ctx context.Context, s *blind, f proxyFlags, address string) (remove func(), err error) {
	var cleanups []func()
	all := func() {
		for _, c := range slices.Backward(cleanups) {
			c()
		}
	}
	defer func() {
		if err != nil {
			all()
		}
	}()
	write := func(name string, data []byte) (string, error) {
		path := filepath.Join(f.CADir, name)
		// Public files, read by whatever user a container has.
		if err := writeFileMode(path, data, 0o644); err != nil {
			return "", withHint(err, "--ca-dir must be a directory that kz may write to; clients mount it read-only")
		}
		if f.SessionFile == "" {
			cleanups = append(cleanups, func() { removeOwn(path, data) }) // its authority has ended
		}
		return path, nil
	}
	if f.CADir == "" {
		dir, err := a.newRunDir()
		if err != nil {
			return nil, err
		}
		cleanups = append(cleanups, func() { _ = dir.Close() })
		write = dir.Write
	} else if f.CADir, err = filepath.Abs(f.CADir); err != nil {
		return nil, err
	} else if err := os.MkdirAll(f.CADir, 0o755); err != nil {
		return nil, withHint(fmt.Errorf("making the CA directory: %w", err), "--ca-dir must be a directory that kz may write to; clients mount it read-only")
	} else if info, err := os.Stat(f.CADir); err == nil && ownedByOther(info) {
		a.ui.Warnf("%s belongs to another user, who may change what clients trust and load", f.CADir)
		a.ui.Hintf("make a directory of your own for --ca-dir")
	}
	files, err := s.caFilesIn(func(name string, data []byte) (string, error) {
		path, err := write(name, data)
		if f.ClientCADir != "" {
			path = f.ClientCADir + "/" + name
		}
		return path, err
	})
	if err != nil {
		return nil, err
	}
	client, leftOut, err := s.environment(s.proxyURL(address), files).envFile(s.variables(ctx))
	if err != nil {
		return nil, err
	}
	for _, name := range leftOut {
		a.ui.Warnf("%s is left out of the env file: its value is real (expose = \"plain\")", name)
	}
	if f.EnvFile == "" {
		_, err := a.stdout.Write(client)
		a.ui.Notef("ready on %s; a client needs the variables above", address)
		return all, err
	}
	if err := writeFileMode(f.EnvFile, client, f.EnvFileMode); err != nil {
		return nil, withHint(err, "--env-file must lie in a directory that kz may write to")
	}
	if f.SessionFile == "" {
		cleanups = append(cleanups, func() { removeOwn(f.EnvFile, client) }) // its credential has ended
	}
	a.ui.Notef("ready on %s; %s variables for clients in %s", address, strconv.Itoa(strings.Count(string(client), "\n")), f.EnvFile)
	return all, nil
}

// because is why a call of the network failed, without its address, which the message has.
func because(err error) string {
	if s := new(os.SyscallError); errors.As(err, &s) {
		return s.Err.Error()
	}
	return err.Error()
}
