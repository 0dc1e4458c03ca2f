package cli

import (
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// adoptOrphans makes this process the parent of what its descendants leave behind (PR_SET_CHILD_SUBREAPER), where it can
// also see to their end. What still runs when kz ends goes on to the first process, as it would have at once.
func adoptOrphans() error {
	if _, err := os.Stat("/proc/thread-self/children"); err != nil {
		return nil //nolint:nilerr // a kernel that does not tell a process's children: nobody would reap them
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	go func() {
		for range ended {
			for seen := reap(nil); len(seen) > 0; seen = reap(seen) {
				time.Sleep(reapEvery)
			}
		}
	}()
	return nil
}

// reapEvery is far longer than it takes to wait for a child of one's own.
const reapEvery = time.Second

// reap ends those that had ended at the last look already: kz's own children are waited for at once, so that these are
// orphans. It returns those to look at the next time.
func reap(seen map[int]bool) (ended map[int]bool) {
	now, err := zombies()
	if err != nil {
		return nil
	}
	ended = make(map[int]bool)
	for _, pid := range now {
		if !seen[pid] {
			ended[pid] = true
			continue
		}
		_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
	}
	return ended
}

// zombies are the children of this process that have ended and were not waited for.
func zombies() (pids []int, err error) {
	children, err := childrenOf("self")
	for _, pid := range children {
		if stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err == nil && isZombie(string(stat)) {
			pids = append(pids, pid)
		}
	}
	return pids, err
}

// childrenOf are the children of the process that has this name in /proc. A kernel that does not tell is an error.
func childrenOf(process string) (pids []int, err error) {
	tasks := "/proc/" + process + "/task/"
	threads, err := os.ReadDir(tasks)
	if err != nil {
		return nil, err
	}
	told := false
	for _, thread := range threads {
		children, err := os.ReadFile(tasks + thread.Name() + "/children")
		if err != nil {
			continue // it has ended
		}
		told = true
		for _, child := range strings.Fields(string(children)) {
			if pid, err := strconv.Atoi(child); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	if !told {
		return nil, os.ErrNotExist
	}
	return pids, nil
}

func isZombie(stat string) bool {
	return strings.HasPrefix(stat[strings.LastIndexByte(stat, ')')+1:], " Z ")
}
