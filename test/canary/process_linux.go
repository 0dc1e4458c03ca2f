package canary

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"strings"
)

// Process searches a running process: its environment, its arguments and its
// writable memory. The caller must be allowed to trace it.
func (c *Canary) Process(pid int) ([]Hit, error) {
	var hits []Hit
	for _, name := range []string{"environ", "cmdline"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
		if err != nil {
			return hits, err
		}
		hits = append(hits, c.In(name, b)...)
	}
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return hits, err
	}
	defer maps.Close()
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return hits, err
	}
	defer mem.Close()
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		var from, to uint64
		var mode string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &mode); err != nil {
			return hits, fmt.Errorf("reading maps: %w", err)
		}
		if !strings.HasPrefix(mode, "rw") || to > math.MaxInt64 {
			continue
		}
		hits = append(hits, c.memory(mem, int64(from), int64(to))...)
	}
	return hits, lines.Err()
}

// memory searches one mapping in pieces that overlap. Pages that cannot be read
// end it: they were never written.
func (c *Canary) memory(mem *os.File, from, to int64) []Hit {
	const step, overlap = 1 << 20, 4096
	var hits []Hit
	buf := make([]byte, step+overlap)
	for at := from; at < to; at += step {
		n, err := mem.ReadAt(buf[:min(int64(len(buf)), to-at)], at)
		hits = append(hits, c.In(fmt.Sprintf("memory from %x", at), buf[:n])...)
		if err != nil {
			break
		}
	}
	return hits
}
