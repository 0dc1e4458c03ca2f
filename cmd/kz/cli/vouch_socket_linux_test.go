package cli

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
)

func TestLookSocket(t *testing.T) {
	t.Parallel()
	t.Run("it finds a connection's end, with its user and inode", func(t *testing.T) {
		t.Parallel()
		client, server := pair(t)
		f, err := client.File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		got, err := lookSocket(addrPort(server.RemoteAddr()), addrPort(server.LocalAddr()))
		if want := uint32(info.Sys().(*syscall.Stat_t).Ino); err != nil || got.inode != want || got.uid != uint32(os.Geteuid()) || got.cookie == 0 {
			t.Errorf("%+v, %v; the inode is %d", got, err, want)
		}
		if again, err := lookSocket(addrPort(server.RemoteAddr()), addrPort(server.LocalAddr())); err != nil || again != got {
			t.Errorf("%+v, then %+v, %v", got, again, err)
		}
		if other, err := lookSocket(addrPort(server.LocalAddr()), addrPort(server.RemoteAddr())); err != nil || other.inode == got.inode {
			t.Errorf("the other end is %+v, %v", other, err)
		}
	})
	t.Run("it finds nothing where there is no connection, also when somebody listens there", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if got, err := lookSocket(addrPort(l.Addr()), netip.MustParseAddrPort("127.0.0.1:9")); err == nil {
			t.Errorf("%+v", got)
		}
		if got, err := lookSocket(netip.MustParseAddrPort("127.0.0.1:9"), addrPort(l.Addr())); err == nil {
			t.Errorf("%+v", got)
		}
	})
}

func TestOnlyTheSocketThatWasAskedForIsTaken(t *testing.T) {
	t.Parallel()
	local, remote := netip.MustParseAddrPort("127.0.0.1:40000"), netip.MustParseAddrPort("127.0.0.1:8080")
	good := make([]byte, diagAnswer)
	q := diagQuestion(local, remote)
	copy(good, q[:diagHeader])
	good[diagHeader], good[diagHeader+1] = syscall.AF_INET, tcpEstablished
	copy(good[diagAnswerID:], q[diagID:])
	if _, err := readAnswer(good, local, remote); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(b []byte) []byte{
		"an error":                 func(b []byte) []byte { b[4], b[5] = 2, 0; return b },
		"half of it":               func(b []byte) []byte { return b[:diagAnswer-1] },
		"nothing":                  func([]byte) []byte { return nil },
		"one that listens":         func(b []byte) []byte { b[diagHeader+1] = 10; return b },
		"one that has ended":       func(b []byte) []byte { b[diagHeader+1] = 6; return b },
		"another port":             func(b []byte) []byte { b[diagAnswerID+1]++; return b },
		"another port of its peer": func(b []byte) []byte { b[diagAnswerID+3]++; return b },
		"another address":          func(b []byte) []byte { b[diagAnswerID+7]++; return b },
		"another of its peer":      func(b []byte) []byte { b[diagAnswerID+23]++; return b },
	} {
		if got, err := readAnswer(change(bytes.Clone(good)), local, remote); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestSocketInode(t *testing.T) {
	t.Parallel()
	for link, want := range map[string]uint32{"socket:[4711]": 4711, "pipe:[4711]": 0, "/tmp/socket:[4711]": 0, "socket:[x]": 0, "socket:[4294967296]": 0} {
		if got, ok := socketInode(link); got != want || ok != (want > 0) {
			t.Errorf("%s: %d, %v", link, got, ok)
		}
	}
}
