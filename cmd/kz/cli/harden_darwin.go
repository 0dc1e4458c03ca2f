package cli

import "golang.org/x/sys/unix"

// hardenProcess refuses debuggers (PT_DENY_ATTACH), which on this system is also what keeps
// the memory from other processes of the user.
func hardenProcess() (p process, err error) {
	if err := unix.PtraceDenyAttach(); err != nil {
		return process{}, err
	}
	p.coreLimit, err = noCore()
	return p, err
}

// setCoreLimit: a child's limits can be set only by itself here, so it keeps the one it inherited.
func setCoreLimit(int, uint64) {}
