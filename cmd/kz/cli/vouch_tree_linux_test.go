package cli

import (
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
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
			if !<-answers || !<-answers {
				t.Error("what somebody holds is not")
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
			scans := 0
			h := &holders{scan: func(map[uint32]bool) map[uint32]bool { scans++; time.Sleep(long); return map[uint32]bool{1: true} }}
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
			if most := int(took/(long*(1+scanShare))) + 2; scans > most || took > asked*2*long*(1+scanShare) {
				t.Errorf("%d scans in %s", scans, took)
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

func TestDescendants(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sh", "-c", "sleep 10 & echo up; wait")
	startAndWait(t, cmd, "up")
	self, child := os.Getpid(), cmd.Process.Pid
	if tree := descendantsOf(self); !slices.Contains(tree, child) || slices.Contains(tree, self) {
		t.Errorf("%v, with the child %d of %d", tree, child, self)
	}
	if grand := descendantsOf(child); len(grand) != 1 || !descendsFrom(grand[0], self) || !descendsFrom(grand[0], child) {
		t.Errorf("the child's child is %v", grand)
	}
	for _, other := range []int{os.Getppid(), self, 1, 1 << 30} {
		if descendsFrom(other, self) {
			t.Errorf("%d descends from %d", other, self)
		}
	}
	if descendsFrom(child, 1<<30) {
		t.Error("it descends from nobody")
	}
	if tree := descendantsOf(1 << 30); len(tree) != 0 {
		t.Errorf("nobody has %v", tree)
	}
}

func TestWhoseSocketsCount(t *testing.T) {
	t.Parallel()
	client, server := pair(t)
	f, err := client.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := lookSocket(addrPort(server.RemoteAddr()), addrPort(server.LocalAddr()))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", "echo up; exec sleep 60")
	cmd.ExtraFiles = []*os.File{f}
	startAndWait(t, cmd, "up")
	self, child := os.Getpid(), cmd.Process.Pid
	wanted := map[uint32]bool{info.inode: true}
	if got := socketsOf(child, self, wanted); len(got) != 1 || got[0] != info.inode {
		t.Errorf("the child holds %v, want %d", got, info.inode)
	}
	if got := socketsOf(child, self, map[uint32]bool{info.inode + 1: true}); len(got) != 0 {
		t.Errorf("it holds %v, which nobody asked for", got)
	}
	if got := socketsOf(child, 1<<30, wanted); len(got) != 0 {
		t.Errorf("of another run it holds %v", got)
	}
	if got := socketsOf(self, self, wanted); len(got) != 0 {
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
	if got := socketsOf(child, self, wanted); len(got) != 0 {
		t.Errorf("it has ended and holds %v", got)
	}
}
