package main

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestShare(t *testing.T) {
	t.Parallel()
	at := time.Now()
	before := usage{at, 100 * time.Second, 10 * time.Second}
	for _, c := range []struct {
		name       string
		busy, ours time.Duration // in ten seconds of two cores
		want       float64
	}{
		{"an idle machine has no others", 0, 0, 0},
		{"what is ours is not of others", 8 * time.Second, 8 * time.Second, 0},
		{"what is not ours is of others", 15 * time.Second, 5 * time.Second, 0.5},
		{"ticks that were counted late give no share below 0", 4 * time.Second, 5 * time.Second, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := usage{at.Add(10 * time.Second), before.busy + c.busy, before.ours + c.ours}
			if got := before.share(now, 2); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestProcess(t *testing.T) {
	t.Parallel()
	self := &process{cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}}
	before, err := cpuTime(self)
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ; {
		now, err := cpuTime(self)
		if err != nil || time.Now().After(end) {
			t.Fatal("its CPU time does not grow with its work", err)
		}
		if now > before {
			break
		}
	}
	if memory, err := resident(self); err != nil || memory < 1e6 || memory > 4e9 {
		t.Error(memory, err)
	}
}
