package cli

import (
	"os"
	"strconv"
	"strings"
)

// sessionName is what a kz that runs a blind session calls itself. The name of a process can
// be read by everyone, whatever else is hidden, and written only by the process itself, so a
// descendant can neither remove nor move the mark.
const sessionName = "kz-blind"

// markSession gives this process its name; the file was opened before it could no longer be.
func (p process) markSession() error {
	if p.name == nil {
		return nil
	}
	_, err := p.name.WriteString(sessionName) // a file without positions
	return err
}

// ancestorSession walks up from the parent. The walk ends where /proc does: at the first
// process, at the border of a process namespace, or at one that is hidden.
func ancestorSession() bool {
	for pid, depth := os.Getppid(), 0; pid > 0 && depth < 1024; depth++ {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			return false
		}
		name, parent, ok := parseStat(string(stat))
		if !ok {
			return false
		}
		if name == sessionName {
			return true
		}
		pid = parent
	}
	return false
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
