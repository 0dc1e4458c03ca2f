package agents_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"kz/test/canary"
)

// processes are those below kz, and those that have this HOME wherever they went, with the names of their programs.
func processes(t *testing.T, kz int, home string) map[int]string {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	parents, names := map[int]int{}, map[int]string{}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		id, rest, _ := strings.Cut(string(text), " (")
		end := strings.LastIndex(rest, ") ")
		child, _ := strconv.Atoi(id)
		parents[child], _ = strconv.Atoi(strings.Fields(rest[end+2:])[1])
		names[child] = rest[:end]
	}
	found := map[int]string{}
	for pid := range parents {
		for at := parents[pid]; at > 1; at = parents[at] {
			if at == kz {
				found[pid] = names[pid]
			}
		}
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err == nil && pid != kz && strings.Contains("\x00"+string(environ), "\x00HOME="+home+"\x00") {
			found[pid] = names[pid]
		}
	}
	return found
}

// inProcesses looks for values in the environment, the arguments and the memory of processes.
func inProcesses(t *testing.T, processes map[int]string, values map[string]string) (hits []string) {
	t.Helper()
	for name, value := range values {
		c := canary.New(value)
		for pid, program := range processes {
			found, err := c.Process(pid)
			if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ESRCH) {
				t.Errorf("looking into %s: %v", program, err)
			}
			for _, h := range found {
				hits = append(hits, fmt.Sprintf("%s in %s: %s", name, program, h))
			}
		}
	}
	return hits
}
