package cli

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Some clients cannot send the credential with CONNECT: a JVM has no property for it. What this session's own child and its
// descendants have been given anyway, they need not show where the kernel says that a connection is theirs: its other end is a
// socket of this user, and a process below this one holds it. Each step fails closed, into the 407 that all others get.
//
// That is no more than the credential says, which stands in the environment of the same processes: whoever can make one of
// them hold a descriptor, or speak for it, could ask it for the credential, and another process of the user can read it there.
// So one holder is enough. That no process elsewhere holds the socket too is not asked: one that wants to hide from that can
// (PR_SET_DUMPABLE), and the user's agents for keys always do. For the same reason these are limits and no holes: a number of a
// socket comes again after 2^32 others, a server that the run starts may relay for whoever asks it, and a kz that is the first
// process of a container is the parent of all orphans there.

// newVouch is proxy.Options.Vouched for what this process starts from now on; kz proxy has none, since its clients are not its
// children.
func newVouch() func(net.Conn) bool {
	v := &voucher{uid: uint32(os.Geteuid()), look: lookSocket, held: &holders{scan: familyFromNow().holds}}
	return v.vouch
}

type voucher struct {
	uid  uint32
	look func(client, server netip.AddrPort) (socketInfo, error)
	held *holders
}

// socketInfo is what the kernel says of a TCP socket.
type socketInfo struct {
	uid, inode uint32
	cookie     uint64 // no other socket ever has it
}

// vouch reports whether the client of c is a process of this session.
func (v *voucher) vouch(c net.Conn) bool {
	client, server := addrPort(c.RemoteAddr()), addrPort(c.LocalAddr())
	if !client.Addr().IsLoopback() || !server.Addr().IsLoopback() {
		return false
	}
	before, err := v.look(client, server)
	if err != nil || before.uid != v.uid || before.inode == 0 || !v.held.by(before.inode) {
		return false
	}
	// The same socket from before the look to after it, and this end still open to it: no other that came to have its
	// addresses once it was reset.
	after, err := v.look(client, server)
	return err == nil && after == before && established(c)
}

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// tcpEstablished is TCP_ESTABLISHED of include/net/tcp_states.h.
const tcpEstablished = 1

func established(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	var info *unix.TCPInfo
	if cerr := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }); cerr != nil || err != nil {
		return false
	}
	return info.State == tcpEstablished
}

// holders answers whether a process of this session holds a socket. One scan at a time answers all who asked before it began,
// and a pause follows it: strangers of the same user who connect over and over take a part of one processor, and nobody waits
// behind them. It is safe for concurrent use.
type holders struct {
	scan func(wanted map[uint32]bool) (held map[uint32]bool)

	mu      sync.Mutex
	waiting []*question
	running bool
}

type question struct {
	inode  uint32
	answer chan bool
}

const (
	// scanShare is how many times as long as a scan the pause after it is, scanPause how long at most.
	scanShare = 4
	scanPause = 250 * time.Millisecond
	// vouchPatience is how long a client waits for its answer. It is less than the 10 s that a stranger's connection has.
	vouchPatience = 5 * time.Second
)

// by asks for one socket.
func (h *holders) by(inode uint32) bool {
	q := &question{inode, make(chan bool, 1)}
	h.mu.Lock()
	h.waiting = append(h.waiting, q)
	if !h.running {
		h.running = true
		go h.run()
	}
	h.mu.Unlock()
	late := time.NewTimer(vouchPatience)
	defer late.Stop()
	select {
	case held := <-q.answer:
		return held
	case <-late.C:
		return false
	}
}

// run scans until nobody asks.
func (h *holders) run() {
	for {
		h.mu.Lock()
		batch := h.waiting
		if h.waiting = nil; len(batch) == 0 {
			h.running = false
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
		wanted := make(map[uint32]bool, len(batch))
		for _, q := range batch {
			wanted[q.inode] = true
		}
		began := time.Now()
		held := h.scan(wanted)
		for _, q := range batch {
			q.answer <- held[q.inode]
		}
		time.Sleep(min(scanShare*time.Since(began), scanPause))
	}
}
