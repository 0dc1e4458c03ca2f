//go:build linux || darwin

package audit

import (
	"path/filepath"
	"syscall"
	"testing"
)

func TestAPipeIsRefusedAndNotWaitedFor(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFile(path); err == nil {
		t.Error("it was opened")
	}
}

// TestAShortWriteIsNoHalfLine lets the file grow no further in the middle of a line, as a full disk does.
func TestAShortWriteIsNoHalfLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	f := open(t, path)
	write(t, f, 2)
	size := len(read(t, path))
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	limit := was
	limit.Cur = uint64(size) + 50
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	err := f.Write(numbered("s", 3))
	if back := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); back != nil {
		t.Fatal(back)
	}
	if err == nil || f.Err() == nil || f.Write(numbered("s", 4)) == nil {
		t.Fatalf("it went on: %v", err)
	}
	if got := len(read(t, path)); got != size+50 {
		t.Errorf("the file has %d bytes, want %d: was there no short write?", got, size+50)
	}
	if lines, _ := f.End(); lines != 2 {
		t.Errorf("%d lines are told", lines)
	}
	_ = f.Close()
	if r := whole(t, session(t, path, 1), 3); r.Incomplete != 1 {
		t.Errorf("%+v", r)
	}
}
