package cli

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// examineSystem looks at settings of the kernel by which a blind child could reach what is not in its session.
func examineSystem() []finding {
	var found []finding
	if setting("/proc/sys/dev/tty/legacy_tiocsti") != "0" { // kernels before 6.2 have no such setting, and always allow it
		found = append(found, finding{ID: "terminal-typing", Weight: weighsWarning, Title: "a program can type into the terminal that it runs in (TIOCSTI)",
			Why: "what it types is read by your shell when kz has ended, outside of the session",
			Fix: "`sudo sysctl dev.tty.legacy_tiocsti=0` (Linux 6.2 or newer); else run agents in a terminal multiplexer of their own"})
	}
	if setting("/proc/sys/kernel/yama/ptrace_scope") == "0" {
		found = append(found, finding{ID: "ptrace", Weight: weighsNote, Title: "programs of yours may read each other's memory (ptrace_scope is 0)",
			Why: "kz closes its own; that of other programs which hold credentials is open", Fix: "`sudo sysctl kernel.yama.ptrace_scope=1`"})
	}
	return found
}

func setting(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// freeSpace is what this user may still write where dir is.
func freeSpace(dir string) (bytes uint64, ok bool) {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0, false
	}
	return s.Bavail * uint64(s.Bsize), true //nolint:gosec // the size of a block
}
