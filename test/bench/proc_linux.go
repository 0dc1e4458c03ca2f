package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
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

// resident is the memory of a process that is in use, in bytes.
func resident(p *process) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.pid()))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(text)
	pages, err := strconv.Atoi(string(fields[1]))
	return float64(pages * os.Getpagesize()), err
}

// usage is how much the whole machine and this run had worked at some time.
type usage struct {
	at         time.Time
	busy, ours time.Duration
}

func startUsage(l *lab) (u usage, err error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return u, err
	}
	// The first line: cpu, user, nice, system, idle, iowait, irq, softirq, steal (proc_stat(5)).
	line, _, _ := bytes.Cut(text, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) < 9 {
		return u, errors.New("reading /proc/stat: not the fields that are expected")
	}
	for _, i := range []int{1, 2, 3, 6, 7, 8} {
		ticks, err := strconv.Atoi(string(fields[i]))
		if err != nil {
			return u, err
		}
		u.busy += time.Duration(ticks) * clockTick
	}
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} { // children that have ended
		var r syscall.Rusage
		if err := syscall.Getrusage(who, &r); err != nil {
			return u, err
		}
		u.ours += time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	for _, p := range l.processes() {
		if !p.ended.Load() {
			t, err := cpuTime(p)
			if err != nil {
				return u, err
			}
			u.ours += t
		}
	}
	u.at = time.Now()
	return u, nil
}

// foreign is the share of the machine that other programs have had since u, 0 to 1.
func (u usage) foreign(l *lab) (float64, error) {
	now, err := startUsage(l)
	return u.share(now, runtime.NumCPU()), err
}

func (u usage) share(now usage, cores int) float64 {
	others := (now.busy - u.busy) - (now.ours - u.ours)
	whole := now.at.Sub(u.at) * time.Duration(cores)
	return min(1, max(0, float64(others)/float64(max(whole, 1))))
}
