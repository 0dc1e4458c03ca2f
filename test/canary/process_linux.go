package canary

import (
	"bufio"
	"fmt"
	"io"
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
	m := memory{}
	if m.bytes, err = os.Open(fmt.Sprintf("/proc/%d/mem", pid)); err != nil {
		return hits, err
	}
	defer m.bytes.Close()
	if m.pages, err = os.Open(fmt.Sprintf("/proc/%d/pagemap", pid)); err != nil {
		return hits, err
	}
	defer m.pages.Close()
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
		err := m.used(int64(from), int64(to), func(from, to int64) {
			hits = append(hits, c.memory(m.bytes, from, to)...)
		})
		if err != nil {
			return hits, fmt.Errorf("reading the map of pages: %w", err)
		}
	}
	return hits, lines.Err()
}

// memory is what Linux tells of a process's memory.
type memory struct{ bytes, pages *os.File }

// used calls do with each run of pages of a mapping that are in memory or in swap: of what a program reserves, most is not.
//
//go:norace
func (m memory) used(from, to int64, do func(from, to int64)) error {
	page := int64(os.Getpagesize())
	entries := make([]byte, (to-from)/page*8) // of 8 bytes: Documentation/admin-guide/mm/pagemap.rst
	n, err := m.pages.ReadAt(entries, from/page*8)
	if err != nil && err != io.EOF {
		return err
	}
	began := int64(-1)
	for at := range int64(n / 8) {
		switch used := entries[at*8+7]&0xc0 != 0; { // in memory, in swap
		case used && began < 0:
			began = at
		case !used && began >= 0:
			do(from+began*page, from+at*page)
			began = -1
		}
	}
	if began >= 0 {
		do(from+began*page, from+int64(n/8)*page)
	}
	return nil
}

// memory searches a stretch in pieces that overlap. What can no longer be read ends it.
func (c *Canary) memory(mem *os.File, from, to int64) []Hit {
	const step, overlap = 1 << 20, 4096
	var hits []Hit
	buf := make([]byte, min(step+overlap, to-from))
	for at := from; at < to; at += step {
		n, err := mem.ReadAt(buf[:min(int64(len(buf)), to-at)], at)
		hits = append(hits, c.In(fmt.Sprintf("memory from %x", at), buf[:n])...)
		if err != nil {
			break
		}
	}
	return hits
}
