package cli

import (
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// adoptOrphans makes this process the parent of what its descendants leave behind (PR_SET_CHILD_SUBREAPER), where it can
// also see to their end. What still runs when kz ends goes on to the first process, as it would have at once.
func adoptOrphans() error {
	if _, err := zombies(); err != nil {
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
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(tasks) == 0 {
		return nil, os.ErrNotExist
	}
	for _, task := range tasks {
		children, err := os.ReadFile(task)
		if os.IsNotExist(err) {
			continue // the thread has ended
		}
		if err != nil {
			return nil, err
		}
		for _, pid := range strings.Fields(string(children)) {
			if stat, err := os.ReadFile("/proc/" + pid + "/stat"); err == nil && isZombie(string(stat)) {
				n, _ := strconv.Atoi(pid)
				pids = append(pids, n)
			}
		}
	}
	return pids, nil
}

func isZombie(stat string) bool {
	return strings.HasPrefix(stat[strings.LastIndexByte(stat, ')')+1:], " Z ")
}
