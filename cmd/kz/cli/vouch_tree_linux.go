package cli

import (
	"bytes"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// scanTries is how often a tree that changed while it was looked at is looked at again: a process whose parent ended in
	// between is in neither of their lists.
	scanTries = 3
	// scanTime bounds one scan, whatever the processes below hold. Sixty that hold little take three milliseconds.
	scanTime = 2 * time.Second
)

// family is a process with its descendants, but for some of its children and theirs. Orphans of a session are among its
// descendants: see adoptOrphans.
type family struct {
	head    int
	without map[int]bool
	// strangers: what others leave behind may become children of the head too. Then who is of the family must also have in its
	// environment that it is of a session.
	strangers bool
}

// familyFromNow is this process with what it will start. It may have children already: those of the shell that it was before
// `exec kz run`.
func familyFromNow() *family {
	self, ok := readStat("self")
	if !ok {
		return &family{head: noProcess}
	}
	f := &family{head: self.pid, without: map[int]bool{}}
	for _, pid := range f.below() {
		f.without[pid] = true
	}
	// What its children leave behind comes to a process that adopts orphans, and to the first of a namespace whatever is left.
	f.strangers = len(f.without) > 0 || f.head == firstProcess
	return f
}

const (
	noProcess    = -1 // a number that none has
	firstProcess = 1  // of a machine, or a container
)

// holds tells which of the wanted sockets a process of the family holds, its head aside.
func (f *family) holds(wanted map[uint32]bool) map[uint32]bool {
	held := map[uint32]bool{}
	end := time.Now().Add(scanTime)
	tree := f.below()
	for range scanTries {
		for _, pid := range tree {
			if len(held) == len(wanted) || time.Now().After(end) {
				return held
			}
			for _, inode := range f.socketsOf(pid, wanted) {
				held[inode] = true
			}
		}
		now := f.below()
		if slices.Equal(now, tree) {
			break
		}
		tree = now
	}
	return held
}

// below are the family's processes without its head, in no order that matters but always the same.
func (f *family) below() []int {
	tree := []int{f.head}
	for i := 0; i < len(tree); i++ {
		children, _ := childrenOf(strconv.Itoa(tree[i])) // one that has ended has none
		for _, n := range children {
			if !f.without[n] && !slices.Contains(tree, n) {
				tree = append(tree, n)
			}
		}
	}
	return tree[1:]
}

// socketsOf are those of the wanted sockets that the process pid holds, none unless it is of the family. The handle on its
// directory is that process's and no later one's of the same number.
func (f *family) socketsOf(pid int, wanted map[uint32]bool) (held []uint32) {
	process, err := unix.Open("/proc/"+strconv.Itoa(pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(process)
	fds, err := unix.Openat(process, "fd", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil // another user's, or one that is hidden from this user
	}
	dir := os.NewFile(uintptr(fds), "fd")
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	var link [64]byte
	for _, name := range names {
		n, err := unix.Readlinkat(fds, name, link[:])
		if err != nil {
			continue
		}
		if inode, ok := socketInode(string(link[:n])); ok && wanted[inode] {
			held = append(held, inode)
		}
	}
	if len(held) == 0 || !f.has(pid) || !unreaped(process) {
		return nil
	}
	if f.strangers && !marked(process) {
		return nil
	}
	return held
}

// maxEnviron is the most that the kernel takes for arguments and environment (execve(2): three quarters of 8 MiB).
const maxEnviron = 6 << 20

// marked reports whether the process of a directory has been started with the mark of a session in its environment. One
// that has left it out, or written over it, is taken for a stranger.
func marked(process int) bool {
	fd, err := unix.Openat(process, "environ", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	f := os.NewFile(uintptr(fd), "environ")
	defer f.Close()
	environ, err := io.ReadAll(io.LimitReader(f, maxEnviron))
	return err == nil && bytes.Contains(append([]byte{0}, environ...), []byte("\x00"+sessionVariable+"="))
}

// socketInode reads "socket:[INODE]" (proc_pid_fd(5)).
func socketInode(link string) (uint32, bool) {
	number, ok := strings.CutPrefix(link, "socket:[")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 32)
	if err != nil {
		return 0, false
	}
	return uint32(n), true
}

// has walks up from pid. Whatever the walk makes of a tree that it cannot follow, only having met the head counts.
func (f *family) has(pid int) bool {
	met := false
	descends(strconv.Itoa(pid), func(at int, _ string) bool {
		met = at == f.head
		return met || f.without[at]
	})
	return met && pid != f.head
}

// unreaped reports whether the process of a directory has not been waited for: until then nobody else has its number.
func unreaped(process int) bool {
	fd, err := unix.Openat(process, "stat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var b [1]byte
	n, err := unix.Read(fd, b[:])
	return n == 1 && err == nil
}
