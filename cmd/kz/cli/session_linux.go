package cli

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// sessionName is what a kz that runs a blind session calls itself. The name of a process can
// be read by everyone, whatever else is hidden, and written only by the process itself, so a
// descendant can neither remove nor move the mark.
const sessionName = "kz-blind"

// markSession gives this process its name; the file was opened before it could no longer be. It also adopts what its
// descendants leave behind, so that none of them gets away by losing its parents (setsid and a second fork).
func (p process) markSession() error {
	if p.name == nil {
		return nil
	}
	if _, err := p.name.WriteString(sessionName); err != nil { // a file without positions
		return err
	}
	return adoptOrphans()
}

// ancestorSession walks up from this process, under the number that /proc has for it. sure says that all of its ancestors
// were seen: none is hidden, or beyond a namespace of processes.
func ancestorSession() (inside, sure bool) {
	inside, whole := descends("self", func(_ int, name string) bool { return name == sessionName })
	space, err := os.Readlink("/proc/self/ns/pid")
	return inside, whole && err == nil && space == firstNamespace
}

// firstNamespace is the machine's own namespace of processes; its number is fixed (PROC_PID_INIT_INO).
const firstNamespace = "pid:[4026531836]"

// maxAncestors is far more than there are: whoever has more is hiding something.
const maxAncestors = 1024

// descends reports whether is holds for a process of /proc or one of those above it. The walk ends where /proc does: at
// the first process, at the border of a process namespace, or at one that is hidden; whole says that it was not hidden.
func descends(pid string, is func(pid int, name string) bool) (found, whole bool) {
	p, ok := readStat(pid)
	for range 4 * maxAncestors {
		switch {
		case !ok || p.pid <= 0:
			return false, false
		case is(p.pid, p.name):
			return true, true
		case p.parent <= 0:
			return false, true
		}
		above, known := readStat(strconv.Itoa(p.parent))
		again, still := readStat(strconv.Itoa(p.pid))
		if still && again.parent != p.parent {
			again.depth = p.depth
			p = again // its parent ended meanwhile, and that number may be another's
			continue
		}
		if !still { // it has ended, and what it leaves behind has another parent
			p, ok = readStat(pid)
			continue
		}
		if above.depth = p.depth + 1; above.depth > maxAncestors {
			return true, true
		}
		p, ok = above, known
	}
	return true, true
}

// ancestor is one process on the way up.
type ancestor struct {
	pid, parent int
	name        string
	depth       int
}

// readStat reads without package os, which asks the kernel four times as often: this is done for each ancestor, twice, before
// every command that is guarded.
func readStat(pid string) (ancestor, bool) {
	fd, err := unix.Open("/proc/"+pid+"/stat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ancestor{}, false
	}
	defer unix.Close(fd)
	var line [4096]byte // a line is 52 numbers and a name of at most 64 bytes, and is read at once
	n, err := unix.Read(fd, line[:])
	if err != nil {
		return ancestor{}, false
	}
	stat := string(line[:n])
	number, _, _ := strings.Cut(stat, " ")
	a := ancestor{}
	var ok bool
	if a.name, a.parent, ok = parseStat(stat); !ok {
		return ancestor{}, false
	}
	a.pid, err = strconv.Atoi(number)
	return a, err == nil
}

// parseStat reads "PID (NAME) STATE PPID …" (proc_pid_stat(5)); the name may hold anything.
func parseStat(stat string) (name string, parent int, ok bool) {
	start, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if start < 0 || end < start {
		return "", 0, false
	}
	fields := strings.Fields(stat[end+1:])
	if len(fields) < 2 {
		return "", 0, false
	}
	parent, err := strconv.Atoi(fields[1])
	return stat[start+1 : end], parent, err == nil
}
