package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A running session can be spoken to by other processes of its user, over a unix socket and nowhere else: never over the
// proxy's port. The socket has mode 0600, in a directory of mode 0700: $XDG_RUNTIME_DIR/kz, else the state directory's
// control; its name is the session's id and the process's. It goes with the process; one that a killed process has left
// is removed by the next.
//
// The protocol is one JSON object on one line in each direction, and then the end of the connection:
//
//	{"op":"reload"}  → {"session":"4f0c…","command":"kz proxy","changed":["API_KEY"],"notes":["…"],"errors":["…"]}
//	{"op":"inside"}  → {"session":"4f0c…","command":"kz run","inside":true}
//	{"op":"metrics"} → {"session":"4f0c…","command":"kz run","metrics":"# HELP kz_secret_uses_total …"}
//
// reload reads the configuration again and fetches every value. metrics is the session's counters, in the Prometheus text
// format. inside asks whether the asker descends from this session;
// the answer comes from what the kernel says of the connection, so that it holds across namespaces of processes.
// The kernel also says whose process is at the other end: another user's is hung up on, and one inside the session gets
// no other answer than to inside. An answer never holds a value.
type controlRequest struct {
	Op string `json:"op"`
}

// controlReply is the answer to a controlRequest.
type controlReply struct {
	Session string   `json:"session"`
	Command string   `json:"command"` // "kz run" or "kz proxy"
	Inside  bool     `json:"inside,omitempty"`
	Changed []string `json:"changed,omitempty"` // secrets whose value is another one now
	Notes   []string `json:"notes,omitempty"`   // what takes effect later, or otherwise than one might think
	Errors  []string `json:"errors,omitempty"`
	Metrics string   `json:"metrics,omitempty"`
}

const (
	opReload  = "reload"
	opInside  = "inside"
	opMetrics = "metrics"

	maxControlRequest = 4 << 10
	maxControlReply   = 256 << 10
	controlPatience   = 2 * time.Second // for the other end's line, and to be rid of ours
	reloadPatience    = time.Minute     // for the stores
	maxControlConns   = 16              // at the same time; the program of the session has a few more of its own
	maxInsideConns    = 4
	maxControlSockets = 64 // of one user, that a command speaks to
	staleAfter        = time.Minute
)

// peer is the process at the other end of a connection, as the kernel knows it.
type peer struct {
	uid int
	pid int // 0: unknown
	// gone reports whether the process has ended, so that its number may be another's. Nil: unknown.
	gone func() bool
	done func()
}

// controlServer answers on one socket.
type controlServer struct {
	session, command string
	reload           func(ctx context.Context) controlReply
	metrics          func() string     // nil: there are none
	inside           func(p peer) bool // does p descend from this session?
	peer             func(*net.UnixConn) (peer, error)

	listener *net.UnixListener
	path     string
	outer    chan struct{} // one for each connection of a process outside the session
	inner    chan struct{}
}

// newControl opens the socket of a session; serve answers on it until close.
func (a *app) newControl(session, command string, reload func(ctx context.Context) controlReply) (*controlServer, error) {
	dir, err := a.controlDir()
	if err != nil {
		return nil, err
	}
	c := &controlServer{session: session, command: command, reload: reload, inside: insideThisSession, peer: peerOf,
		outer: make(chan struct{}, maxControlConns), inner: make(chan struct{}, maxInsideConns),
		path: filepath.Join(dir, session+"."+strconv.Itoa(os.Getpid())+socketSuffix)}
	sweepSockets(dir, a.now())
	_ = os.Remove(c.path) // it has this process's number, so it is of one that has ended: the first of a container that was killed
	address, done, err := shortPath(c.path)
	if err != nil {
		return nil, fmt.Errorf("opening the control socket: %w", err)
	}
	defer done()
	if c.listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: address, Net: "unix"}); err != nil {
		return nil, fmt.Errorf("opening the control socket: %w", err)
	}
	c.listener.SetUnlinkOnClose(false) // the address may be a short name for the path
	if err := os.Chmod(c.path, 0o600); err != nil {
		c.close()
		return nil, fmt.Errorf("opening the control socket: %w", err)
	}
	return c, nil
}

const socketSuffix = ".sock"

// close ends the answering and removes the socket. It may be called on nil.
func (c *controlServer) close() {
	if c == nil {
		return
	}
	_ = c.listener.Close()
	_ = os.Remove(c.path)
}

func (c *controlServer) serve() {
	for {
		conn, err := c.listener.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // out of descriptors, say
			continue
		}
		c.take(conn)
	}
}

// take answers one connection beside the others, or hangs up.
func (c *controlServer) take(conn *net.UnixConn) {
	p, err := c.peer(conn)
	if err != nil || p.uid != os.Geteuid() {
		_ = conn.Close()
		return
	}
	inside := c.inside(p)
	if p.done != nil {
		p.done()
	}
	room := c.outer
	if inside {
		room = c.inner
	}
	select {
	case room <- struct{}{}:
	default:
		_ = conn.Close()
		return
	}
	go func() {
		defer func() { _ = conn.Close(); <-room }()
		c.answer(conn, inside)
	}()
}

// answer reads one request and writes its reply.
func (c *controlServer) answer(conn *net.UnixConn, inside bool) {
	_ = conn.SetReadDeadline(time.Now().Add(controlPatience))
	var req controlRequest
	if err := readLine(conn, maxControlRequest, &req); err != nil {
		return
	}
	reply := controlReply{}
	switch {
	case req.Op == opInside:
		reply.Inside = inside
	case inside:
		reply.Errors = []string{"refused inside a blind session"}
	case req.Op == opReload:
		ctx, cancel := context.WithTimeout(context.Background(), reloadPatience)
		reply = c.reload(ctx)
		cancel()
	case req.Op == opMetrics && c.metrics != nil:
		reply.Metrics = c.metrics()
	default:
		reply.Errors = []string{"this kz does not know that request; both ends should be of one version"}
	}
	reply.Session, reply.Command = c.session, c.command
	_ = conn.SetWriteDeadline(time.Now().Add(controlPatience))
	_ = writeLine(conn, reply)
}

func writeLine(w io.Writer, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// readLine reads one line of at most limit bytes as JSON.
func readLine(r io.Reader, limit int64, v any) error {
	line, err := bufio.NewReader(io.LimitReader(r, limit)).ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("reading a line: %w", err)
	}
	return json.Unmarshal(line, v)
}

// controlDir is where this process puts its socket; it is made.
func (a *app) controlDir() (string, error) {
	if base := a.getenv("XDG_RUNTIME_DIR"); usableRuntime(base) {
		dir := filepath.Join(base, "kz")
		if err := privateDir(dir); err == nil {
			return dir, nil
		}
	}
	state, err := a.stateDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(state, "control")
	return dir, privateDir(dir)
}

func usableRuntime(base string) bool {
	info, err := os.Stat(base)
	return filepath.IsAbs(base) && err == nil && private(info, 0o077)
}

// privateDir makes a directory that is this user's alone, or finds it so.
func privateDir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("making the control directory: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("making the control directory: %w", err)
	}
	if !private(info, 0o077) {
		return withHint(fmt.Errorf("the control directory %s is a link, or open to others", dir), "chmod 700 %s, or remove it", dir)
	}
	return nil
}

// controlSockets are the sockets of this user's sessions, wherever they may be; all says that there are not more. Runtime
// directories are looked for by hand: a program may lack the variable, and have another number in a namespace of its own.
func (a *app) controlSockets() (paths []string, all bool) {
	dirs, _ := filepath.Glob(filepath.Join("/", a.runtimes, "kz")) // the pattern is one
	if base := a.getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(base) && !slices.Contains(dirs, filepath.Join(base, "kz")) {
		dirs = append(dirs, filepath.Join(base, "kz"))
	}
	if state, err := a.stateDir(); err == nil {
		dirs = append(dirs, filepath.Join(state, "control"))
	}
	all = true
	for _, dir := range dirs {
		if info, err := os.Lstat(dir); err != nil || !private(info, 0o077) {
			continue
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			switch {
			case !strings.HasSuffix(e.Name(), socketSuffix) || e.Type() != os.ModeSocket:
			case len(paths) == maxControlSockets:
				all = false
			default:
				paths = append(paths, filepath.Join(dir, e.Name()))
			}
		}
	}
	return paths, all
}

// errPlanted says that a socket is not a session's.
var errPlanted = errors.New("a program of a blind session answers there")

// askControl sends one request to one socket. Only a process of this user is believed, and none that runs blind.
func askControl(path string, op string, patience time.Duration) (reply controlReply, err error) {
	conn, err := dialControl(path)
	if err != nil {
		return reply, err
	}
	defer conn.Close()
	p, err := peerOf(conn)
	fake := err == nil && planted(p)
	if p.done != nil {
		p.done()
	}
	switch {
	case err != nil || p.uid != os.Geteuid():
		return reply, errors.New("the socket is another user's")
	case fake:
		return reply, errPlanted
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	if err := writeLine(conn, controlRequest{op}); err != nil {
		return reply, err
	}
	return reply, readLine(conn, maxControlReply, &reply)
}

func dialControl(path string) (*net.UnixConn, error) {
	address, done, err := shortPath(path)
	if err != nil {
		return nil, err
	}
	defer done()
	return net.DialUnix("unix", nil, &net.UnixAddr{Name: address, Net: "unix"})
}

// sweepSockets removes the sockets of processes that were killed: those that refuse. One that was just made may do so
// because it is about to be listened on; its process, which its name tells, is there.
func sweepSockets(dir string, now time.Time) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode().Type() != os.ModeSocket || !strings.HasSuffix(e.Name(), socketSuffix) ||
			now.Sub(info.ModTime()) < staleAfter && !hasEnded(e.Name()) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		conn, err := dialControl(path)
		switch {
		case err == nil:
			_ = conn.Close()
		case isRefused(err):
			_ = os.Remove(path)
		}
	}
}
