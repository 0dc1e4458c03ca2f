package cli

import (
	"os"
	"path/filepath"
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
	// scanTime bounds one scan, whatever the processes below hold. A hundred of them with fifty descriptors each take 20 ms.
	scanTime = 2 * time.Second
)

// heldBelow tells which of the wanted sockets a descendant of this process holds. Orphans of the session are descendants, too:
// see adoptOrphans.
func heldBelow(wanted map[uint32]bool) map[uint32]bool {
	held := map[uint32]bool{}
	self, ok := readStat("self")
	if !ok {
		return held
	}
	end := time.Now().Add(scanTime)
	tree := descendantsOf(self.pid)
	for range scanTries {
		for _, pid := range tree {
			if len(held) == len(wanted) || time.Now().After(end) {
				return held
			}
			for _, inode := range socketsOf(pid, self.pid, wanted) {
				held[inode] = true
			}
		}
		now := descendantsOf(self.pid)
		if slices.Equal(now, tree) {
			break
		}
		tree = now
	}
	return held
}

// descendantsOf are the processes that descend from one, in no order that matters but always the same.
func descendantsOf(pid int) []int {
	tree := []int{pid}
	for i := 0; i < len(tree); i++ {
		lists, _ := filepath.Glob("/proc/" + strconv.Itoa(tree[i]) + "/task/*/children")
		for _, list := range lists {
			children, err := os.ReadFile(list)
			if err != nil {
				continue // it has ended
			}
			for _, child := range strings.Fields(string(children)) {
				if n, err := strconv.Atoi(child); err == nil && !slices.Contains(tree, n) {
					tree = append(tree, n)
				}
			}
		}
	}
	return tree[1:]
}

// socketsOf are those of the wanted sockets that the process pid holds, none unless it descends from ancestor. The handle on its
// directory is that process's and no later one's of the same number.
func socketsOf(pid, ancestor int, wanted map[uint32]bool) (held []uint32) {
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
	if len(held) == 0 || !descendsFrom(pid, ancestor) || !unreaped(process) {
		return nil
	}
	return held
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

// descendsFrom walks up from pid. Whatever the walk makes of a tree that it cannot follow, only having met ancestor counts.
func descendsFrom(pid, ancestor int) bool {
	met := false
	descends(strconv.Itoa(pid), func(at int, _ string) bool {
		met = met || at == ancestor
		return met
	})
	return met && pid != ancestor
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
