package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// clockTick is the unit of times in /proc, the same on every Linux that Go runs on (proc_pid_stat(5), USER_HZ).
const clockTick = 10 * time.Millisecond

// cpuTime is what a process has used of the CPU, in user and kernel mode. 0 for none.
func cpuTime(p *process) (time.Duration, error) {
	if p == nil {
		return 0, nil
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid()))
	if err != nil {
		return 0, err
	}
	// The second field is a name in parentheses, which may hold spaces. Fields 14 and 15 are utime and stime.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	user, err1 := strconv.Atoi(string(fields[11]))
	system, err2 := strconv.Atoi(string(fields[12]))
	return time.Duration(user+system) * clockTick, errors.Join(err1, err2)
}
