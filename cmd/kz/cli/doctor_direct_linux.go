package cli

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// directEvery is how often connections are looked at: one that ends sooner may be missed, but a handshake with a host that
// is not near takes longer.
const directEvery = 20 * time.Millisecond

// maxDirect bounds what is told.
const maxDirect = 64

// watchDirect notes the addresses off loopback that descendants of this process are connected to, until it is asked. kz
// itself is none of them.
func watchDirect() func() []string {
	w := &directWatch{self: os.Getpid(), known: map[string]bool{}}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(directEvery)
		defer tick.Stop()
		for {
			w.look()
			select {
			case <-quit:
				return
			case <-tick.C:
			}
		}
	}()
	return sync.OnceValue(func() []string {
		close(quit)
		<-done
		slices.Sort(w.found)
		return w.found
	})
}

type directWatch struct {
	self  int
	known map[string]bool // sockets that were looked at, by their inodes
	found []string
}

func (w *directWatch) look() {
	candidates := map[string]netip.AddrPort{}
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		data, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			inode, remote, ok := parseConnection(line)
			if ok && !w.known[inode] && !remote.Addr().IsLoopback() {
				candidates[inode] = remote
			}
		}
	}
	if len(candidates) == 0 {
		return
	}
	mine := socketsBelow(w.self)
	for inode, remote := range candidates {
		if !mine[inode] {
			continue
		}
		w.known[inode] = true
		if at := remote.String(); len(w.found) < maxDirect && !slices.Contains(w.found, at) {
			w.found = append(w.found, at)
		}
	}
}

// parseConnection reads a line of /proc/net/tcp: slot, local, remote, state, queues, timer, retransmissions, user, timeout,
// inode (proc_net(5), proc_net_tcp.rst of the kernel). Only those that are open, or being opened, count.
func parseConnection(line string) (inode string, remote netip.AddrPort, ok bool) {
	f := strings.Fields(line)
	if len(f) < 10 || f[3] != "01" && f[3] != "02" {
		return "", remote, false
	}
	address, port, ok := strings.Cut(f[2], ":")
	raw, err := hex.DecodeString(address)
	number, portErr := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || portErr != nil || len(raw)%4 != 0 {
		return "", remote, false
	}
	for i := 0; i < len(raw); i += 4 { // words in the order of the machine
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, ok := netip.AddrFromSlice(raw)
	return f[9], netip.AddrPortFrom(addr.Unmap(), uint16(number)), ok
}

// socketsBelow are the sockets that descendants of a process hold, by their inodes.
func socketsBelow(root int) map[string]bool {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	parents := map[int]int{}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if p, ok := readStat(e.Name()); ok {
				parents[pid] = p.parent
			}
		}
	}
	sockets := map[string]bool{}
	for pid := range parents {
		if pid == root || !descendant(pid, root, parents) {
			continue
		}
		dir := "/proc/" + strconv.Itoa(pid) + "/fd"
		descriptors, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, d := range descriptors {
			if to, err := os.Readlink(dir + "/" + d.Name()); err == nil && strings.HasPrefix(to, "socket:[") {
				sockets[strings.TrimSuffix(strings.TrimPrefix(to, "socket:["), "]")] = true
			}
		}
	}
	return sockets
}

// descendant reports whether a process descends from root.
func descendant(pid, root int, parents map[int]int) bool {
	for range len(parents) {
		parent, ok := parents[pid]
		switch {
		case !ok:
			return false
		case parent == root:
			return true
		}
		pid = parent
	}
	return false
}
