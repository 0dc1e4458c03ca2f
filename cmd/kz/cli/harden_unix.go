//go:build linux || darwin

package cli

import "golang.org/x/sys/unix"

// noCore lowers the soft limit on core dumps to 0 and returns the one before. The hard limit
// stays, so that the child's can be put back.
func noCore() (before uint64, err error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil {
		return 0, err
	}
	before = uint64(limit.Cur)
	limit.Cur = 0
	return before, unix.Setrlimit(unix.RLIMIT_CORE, &limit)
}
