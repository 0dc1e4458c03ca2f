package cli

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
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
	w := &directWatch{run: &family{head: os.Getpid()}, known: map[uint32]bool{}}
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
	run   *family
	known map[uint32]bool // sockets that were looked at, by their inodes
	found []string
}

func (w *directWatch) look() {
	candidates := map[uint32]netip.AddrPort{}
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
	wanted := map[uint32]bool{}
	for inode := range candidates {
		wanted[inode] = true
	}
	for inode := range w.run.holds(wanted) {
		w.known[inode] = true
		remote := candidates[inode]
		if at := remote.String(); len(w.found) < maxDirect && !slices.Contains(w.found, at) {
			w.found = append(w.found, at)
		}
	}
}

// parseConnection reads a line of /proc/net/tcp: slot, local, remote, state, queues, timer, retransmissions, user, timeout,
// inode (proc_net(5), proc_net_tcp.rst of the kernel). Only those that are open, or being opened, count.
func parseConnection(line string) (inode uint32, remote netip.AddrPort, ok bool) {
	f := strings.Fields(line)
	if len(f) < 10 || f[3] != "01" && f[3] != "02" {
		return 0, remote, false
	}
	address, port, ok := strings.Cut(f[2], ":")
	raw, err := hex.DecodeString(address)
	number, portErr := strconv.ParseUint(port, 16, 16)
	socket, inodeErr := strconv.ParseUint(f[9], 10, 32)
	if !ok || errors.Join(err, portErr, inodeErr) != nil || len(raw)%4 != 0 {
		return 0, remote, false
	}
	for i := 0; i < len(raw); i += 4 { // words in the order of the machine
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, ok := netip.AddrFromSlice(raw)
	return uint32(socket), netip.AddrPortFrom(addr.Unmap(), uint16(number)), ok
}
