package cli

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"
)

// The kernel's question for one socket (sock_diag(7), linux/inet_diag.h).
const (
	sockDiagByFamily       = 20
	diagHeader             = 16             // struct nlmsghdr
	diagRequest            = 8 + 48         // struct inet_diag_req_v2
	diagID                 = diagHeader + 8 // where struct inet_diag_sockid begins in the request
	diagAnswerID           = diagHeader + 4 // and in struct inet_diag_msg
	diagAnswer             = diagHeader + 4 + 48 + 20
	noCookie               = ^uint32(0) // INET_DIAG_NOCOOKIE
	diagSeconds      int64 = 1
)

var errNoSocket = errors.New("no such socket")

// lookSocket finds the established socket whose own address is local and whose peer's is remote.
func lookSocket(local, remote netip.AddrPort) (socketInfo, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return socketInfo{}, err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: diagSeconds}); err != nil {
		return socketInfo{}, err
	}
	if err := unix.Sendto(fd, diagQuestion(local, remote), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return socketInfo{}, err
	}
	answer := make([]byte, 8<<10)
	n, from, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return socketInfo{}, err
	}
	if nl, ok := from.(*unix.SockaddrNetlink); !ok || nl.Pid != 0 {
		return socketInfo{}, errNoSocket // not the kernel's
	}
	return readAnswer(answer[:n], local, remote)
}

func diagQuestion(local, remote netip.AddrPort) []byte {
	q := make([]byte, diagHeader+diagRequest)
	order := binary.NativeEndian
	order.PutUint32(q[0:], uint32(len(q)))
	order.PutUint16(q[4:], sockDiagByFamily)
	order.PutUint16(q[6:], unix.NLM_F_REQUEST)
	order.PutUint32(q[8:], 1) // the sequence number
	q[diagHeader] = unix.AF_INET
	if local.Addr().Is6() {
		q[diagHeader] = unix.AF_INET6
	}
	q[diagHeader+1] = unix.IPPROTO_TCP
	order.PutUint32(q[diagHeader+4:], 1<<tcpEstablished)
	id := q[diagID:]
	binary.BigEndian.PutUint16(id[0:], local.Port())
	binary.BigEndian.PutUint16(id[2:], remote.Port())
	copy(id[4:20], local.Addr().AsSlice())
	copy(id[20:36], remote.Addr().AsSlice())
	order.PutUint32(id[40:], noCookie)
	order.PutUint32(id[44:], noCookie)
	return q
}

// readAnswer takes nothing but the very socket that was asked for: where none is connected so, the kernel answers with one
// that listens at the local address. A socket of IPv6 may hold a connection of IPv4.
func readAnswer(b []byte, local, remote netip.AddrPort) (socketInfo, error) {
	order := binary.NativeEndian
	if len(b) < diagAnswer || order.Uint16(b[4:]) != sockDiagByFamily {
		return socketInfo{}, errNoSocket
	}
	family, state, id := b[diagHeader], b[diagHeader+1], b[diagAnswerID:]
	if state != tcpEstablished || diagAddr(family, id[4:20], id[0:]) != local || diagAddr(family, id[20:36], id[2:]) != remote {
		return socketInfo{}, errNoSocket
	}
	rest := id[48:]
	return socketInfo{
		cookie: uint64(order.Uint32(id[40:])) | uint64(order.Uint32(id[44:]))<<32,
		uid:    order.Uint32(rest[12:]), inode: order.Uint32(rest[16:]),
	}, nil
}

func diagAddr(family byte, addr, port []byte) netip.AddrPort {
	size := 4
	if family == unix.AF_INET6 {
		size = 16
	}
	a, _ := netip.AddrFromSlice(addr[:size])
	return netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(port))
}
