package e2e_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

var platformPrograms = map[string]func([]string) int{"@pry": pry, "@open": openFiles, "@ask": askSession, "@crash": crash, "@enter": enterProgram, "@docker": dockerProgram}

// pry tries to get at the process of a number in every way that a process of the same user has, and says how each went:
// "WAY: refused" or what it got. With "open" it tries the same on a process that is not protected.
func pry(args []string) int {
	pid, err := strconv.Atoi(args[0])
	if args[0] == "open" {
		victim := exec.Command("/bin/cat")
		in, ierr := victim.StdinPipe()
		out, oerr := victim.StdoutPipe()
		if err := errors.Join(ierr, oerr, victim.Start()); err != nil {
			fmt.Println(err)
			return 1
		}
		defer func() { _ = victim.Process.Kill(); _ = victim.Wait() }()
		// Once it answers it is cat: a process that is still becoming one has no environment.
		_, ierr = io.WriteString(in, "x")
		_, oerr = out.Read(make([]byte, 1))
		pid, err = victim.Process.Pid, errors.Join(ierr, oerr)
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	proc := "/proc/" + strconv.Itoa(pid) + "/"
	report := func(way string, err error) {
		if err == nil {
			fmt.Println(way + ": done")
		} else if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
			fmt.Println(way + ": refused")
		} else {
			fmt.Println(way + ": " + err.Error())
		}
	}
	for _, name := range []string{"environ", "maps", "smaps", "auxv", "io", "personality"} {
		f, err := os.Open(proc + name)
		if err == nil {
			_, err = f.Read(make([]byte, 1))
			_ = f.Close()
		}
		report(name, err)
	}
	for _, name := range []string{"fd", "fdinfo", "map_files"} {
		_, err := os.ReadDir(proc + name)
		report(name, err)
	}
	for _, name := range []string{"exe", "cwd", "root", "fd/0", "ns/mnt"} {
		_, err := os.Readlink(proc + name)
		report(name, err)
	}
	var mem *os.File
	mem, err = os.OpenFile(proc+"mem", os.O_RDWR, 0)
	if err == nil {
		_ = mem.Close()
	}
	report("mem", err)
	err = os.WriteFile(proc+"comm", []byte("kz"), 0)
	report("comm", err)

	report("process_vm_readv", readMemory(pid, proc))
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err == nil {
		_, err = unix.PidfdGetfd(pidfd, 0, 0)
	}
	report("pidfd_getfd", err)
	runtime.LockOSThread() // a tracer is a thread
	err = syscall.PtraceAttach(pid)
	report("ptrace attach", err)
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(pid), 0, 0, 0, 0)
	err = nil
	if errno != 0 {
		err = errno
	}
	report("ptrace seize", err)
	return 0
}

// readMemory reads eight bytes of another process.
func readMemory(pid int, proc string) error {
	var from uintptr = 0x400000
	if maps, err := os.Open(proc + "maps"); err == nil {
		line, _ := bufio.NewReader(maps).ReadString('\n')
		first, _, _ := strings.Cut(line, "-")
		n, _ := strconv.ParseUint(first, 16, 64)
		from = uintptr(n)
		_ = maps.Close()
	}
	word := make([]byte, 8)
	local := []unix.Iovec{{Base: &word[0]}}
	local[0].SetLen(len(word))
	_, err := unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: from, Len: len(word)}}, 0)
	return err
}

// openFiles lists what this process was given beyond its standard streams.
func openFiles([]string) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for _, e := range entries {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		n, _ := strconv.Atoi(e.Name())
		// What Go's runtime opens for itself is not an inheritance.
		if n > 2 && err == nil && !strings.HasPrefix(to, "/proc/") && !strings.HasPrefix(to, "/sys/fs/cgroup/") && !strings.HasPrefix(to, "anon_inode:") {
			fmt.Println("open:", e.Name(), to)
		}
	}
	fmt.Println("listed: yes")
	return 0
}

// askSession speaks to the control sockets itself, as a program that is not kz would.
func askSession([]string) int {
	sockets, _ := filepath.Glob(os.Getenv("HOME") + "/.local/state/kz/control/*.sock")
	for _, path := range sockets {
		// A path may be longer than an address can be.
		dir, err := os.Open(filepath.Dir(path))
		if err != nil {
			fmt.Println(err)
			return 1
		}
		for _, op := range []string{"reload", "inside"} {
			conn, err := net.Dial("unix", fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)))
			if err != nil {
				fmt.Println(err)
				return 1
			}
			_, _ = fmt.Fprintf(conn, "{\"op\":%q}\n", op)
			answer, _ := io.ReadAll(conn)
			fmt.Printf("%s: %s\n", op, strings.TrimSpace(string(answer)))
		}
	}
	fmt.Println("sockets:", len(sockets))
	return 0
}

// crash ends the process above with a signal that dumps core where that is allowed.
func crash([]string) int {
	// The limits of another process of the user may be raised; that it is not dumpable is what holds.
	var limit unix.Rlimit
	if err := unix.Prlimit(os.Getppid(), unix.RLIMIT_CORE, nil, &limit); err == nil {
		limit.Cur = limit.Max
		_ = unix.Prlimit(os.Getppid(), unix.RLIMIT_CORE, &limit, nil)
	}
	_ = unix.Kill(os.Getppid(), unix.SIGABRT)
	select {}
}
