package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// hardenProcess makes /proc/PID (memory, environment, descriptors) root's, and refuses ptrace
// by the same user. The kernel makes a process dumpable again at execve, so a child is not affected.
func hardenProcess() (p process, err error) {
	// Opened first: of a process that is not dumpable, /proc belongs to root. Without /proc
	// there is no name to set and no ancestor to find.
	p.name, _ = os.OpenFile("/proc/self/comm", os.O_WRONLY, 0)
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return process{}, err
	}
	p.coreLimit, err = noCore()
	return p, err
}

// setCoreLimit gives a started child a soft limit on core dumps, as far as its hard one allows.
// A child that changed its user keeps the limit it inherited.
func setCoreLimit(pid int, soft uint64) {
	var limit unix.Rlimit
	if soft == 0 || unix.Prlimit(pid, unix.RLIMIT_CORE, nil, &limit) != nil {
		return
	}
	limit.Cur = min(soft, limit.Max)
	_ = unix.Prlimit(pid, unix.RLIMIT_CORE, &limit, nil)
}
