//go:build !linux

package main

import (
	"errors"
	"time"
)

// cpuTime, resident and usage are known on Linux only: elsewhere they are 0.
func cpuTime(*process) (time.Duration, error) { return 0, nil }

func resident(*process) (float64, error) { return 0, errors.ErrUnsupported }

type usage struct{}

func startUsage(*lab) (usage, error) { return usage{}, nil }

func (usage) foreign(*lab) (float64, error) { return 0, nil }
