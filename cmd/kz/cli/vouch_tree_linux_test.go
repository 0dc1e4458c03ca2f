package cli

import (
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

func TestHolders(t *testing.T) {
	t.Parallel()
	t.Run("one scan answers all who asked before it, and none who asked later", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var scans [][]uint32
			h := &holders{scan: func(wanted map[uint32]bool) map[uint32]bool {
				scans = append(scans, slices.Sorted(maps.Keys(wanted)))
				time.Sleep(10 * time.Millisecond)
				return map[uint32]bool{2: true, 3: wanted[3]}
			}}
			answers := make(chan bool, 3)
			go func() { answers <- h.by(1) }()
			synctest.Wait()
			go func() { answers <- h.by(2) }()
			go func() { answers <- h.by(3) }()
			if <-answers {
				t.Error("what nobody holds is held")
			}
			for range 2 {
				if !<-answers {
					t.Error("what somebody holds is not")
				}
			}
			if want := [][]uint32{{1}, {2, 3}}; !slices.EqualFunc(scans, want, slices.Equal) {
				t.Errorf("the scans were for %v", scans)
			}
			time.Sleep(time.Minute)
		})
	})
	t.Run("however many ask, a scan has its pause, and each its answer soon", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			const long = 10 * time.Millisecond
			var scans atomic.Int32
			h := &holders{scan: func(map[uint32]bool) map[uint32]bool { scans.Add(1); time.Sleep(long); return map[uint32]bool{1: true} }}
			stop := make(chan bool)
			for range 100 {
				go func() {
					for {
						select {
						case <-stop:
							return
						default:
							h.by(2)
						}
					}
				}()
			}
			const asked = 20
			began := time.Now()
			for range asked {
				if !h.by(1) {
					t.Error("it is not vouched for")
				}
			}
			took := time.Since(began)
			close(stop)
			n, most := int(scans.Load()), int(took/(long*(1+scanShare)))+2
			if n > most || took > asked*2*long*(1+scanShare) {
				t.Errorf("%d scans in %s", n, took)
			}
			synctest.Wait()
			time.Sleep(time.Minute)
		})
	})
	t.Run("who waits too long is not vouched for", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			h := &holders{scan: func(map[uint32]bool) map[uint32]bool { time.Sleep(time.Minute); return map[uint32]bool{1: true} }}
			began := time.Now()
			if h.by(1) || time.Since(began) != vouchPatience {
				t.Errorf("after %s", time.Since(began))
			}
			time.Sleep(2 * time.Minute)
		})
	})
}

func TestAFamily(t *testing.T) {
	t.Parallel()
	start := func() int {
		cmd := exec.Command("sh", "-c", "sleep 10 & echo up; wait")
		startAndWait(t, cmd, "up")
		return cmd.Process.Pid
	}
	before := start()
	f := familyFromNow()
	after, self := start(), os.Getpid()
	if tree := f.below(); !slices.Contains(tree, after) || slices.Contains(tree, self) {
		t.Errorf("%v, with the child %d of %d", tree, after, self)
	}
	if !f.has(after) || !(&family{head: after}).has(childOf(t, after)) || !f.has(childOf(t, after)) {
		t.Error("a child, or its child, is not of the family")
	}
	for _, other := range []int{os.Getppid(), self, 1, 1 << 30} {
		if f.has(other) {
			t.Errorf("%d is of the family of %d", other, self)
		}
	}
	for _, earlier := range []int{before, childOf(t, before)} {
		if f.has(earlier) || slices.Contains(f.below(), earlier) {
			t.Errorf("%d was there before the family", earlier)
		}
	}
	if !f.strangers {
		t.Error("what earlier children leave behind is taken for its own")
	}
	for _, nobodys := range []int{1 << 30, noProcess} {
		if none := (&family{head: nobodys}); none.has(after) || len(none.below()) != 0 {
			t.Errorf("the family of %d has %v", nobodys, none.below())
		}
	}
}

func childOf(t *testing.T, pid int) int {
	t.Helper()
	children := (&family{head: pid}).below()
	if len(children) != 1 {
		t.Fatalf("%d has the children %v", pid, children)
	}
	return children[0]
}

func TestWhoseSocketsCount(t *testing.T) {
	t.Parallel()
	client, server := pair(t)
	file, err := client.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := lookSocket(addrPort(server.RemoteAddr()), addrPort(server.LocalAddr()))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", "echo up; exec sleep 60")
	cmd.ExtraFiles = []*os.File{file}
	startAndWait(t, cmd, "up")
	child := cmd.Process.Pid
	f, none := &family{head: os.Getpid()}, &family{head: 1 << 30}
	wanted := map[uint32]bool{info.inode: true}
	if got := f.socketsOf(child, wanted); len(got) != 1 || got[0] != info.inode {
		t.Errorf("the child holds %v, want %d", got, info.inode)
	}
	if got := f.socketsOf(child, map[uint32]bool{info.inode + 1: true}); len(got) != 0 {
		t.Errorf("it holds %v, which nobody asked for", got)
	}
	if got := none.socketsOf(child, wanted); len(got) != 0 {
		t.Errorf("of another run it holds %v", got)
	}
	if got := f.socketsOf(f.head, wanted); len(got) != 0 {
		t.Errorf("kz itself holds %v", got)
	}
	process, err := unix.Open("/proc/"+strconv.Itoa(child), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(process)
	if !unreaped(process) {
		t.Error("it has not ended")
	}
	_ = cmd.Process.Kill()
	endedWith(t, cmd)
	if unreaped(process) {
		t.Error("it has ended, and its number is free")
	}
	if got := f.socketsOf(child, wanted); len(got) != 0 {
		t.Errorf("it has ended and holds %v", got)
	}
}

// TestWhatStrangersLeaveBehindDoesNotCount: an orphan has a new parent, which says nothing of where it is from.
func TestWhatStrangersLeaveBehindDoesNotCount(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		strangers bool
		env       string
		want      int
	}{
		{"where there are no strangers, one without the mark of a session counts", false, "A=1", 1},
		{"where there are, it does not", true, "A=1", 0},
		{"nor does one that has the mark in a value", true, "A= " + sessionVariable + "=1", 0},
		{"nor in a longer name", true, "NO_" + sessionVariable + "=1", 0},
		{"one that has it does", true, sessionVariable + "=1", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, server := pair(t)
			file, err := client.File()
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			info, err := lookSocket(addrPort(server.RemoteAddr()), addrPort(server.LocalAddr()))
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("sh", "-c", "echo up; read end") // with its environment there: exec takes that away for a moment
			if _, err := cmd.StdinPipe(); err != nil {
				t.Fatal(err)
			}
			cmd.ExtraFiles, cmd.Env = []*os.File{file}, []string{"PATH=" + os.Getenv("PATH"), tt.env}
			startAndWait(t, cmd, "up")
			f := &family{head: os.Getpid(), strangers: tt.strangers}
			if got := f.socketsOf(cmd.Process.Pid, map[uint32]bool{info.inode: true}); len(got) != tt.want {
				t.Errorf("it holds %v", got)
			}
		})
	}
}
