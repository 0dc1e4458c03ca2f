package e2e_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"kz/test/bed"
	"kz/test/origin"
)

// What kz may hold of one stream, in KiB, beside its window in HTTP/2: those of proxy/transport.go and of proxy/proxy.go.
const (
	heldOfStream   = 128
	downloadWindow = 1024
	uploadWindow   = 256
)

// heldOfExchange is of two streams, one each way.
func heldOfExchange(h2 bool) int {
	if h2 {
		return downloadWindow + uploadWindow + 2*heldOfStream
	}
	return 2 * heldOfStream
}

// ofProcess is what a process's memory varies by whatever it does, in KiB: beside one exchange that shows, beside the many of
// TestStalledStreams it does not.
const ofProcess = 2048

// tight is a collector that leaves little garbage lying, so that what a process has is what it holds.
const tight = "GOGC=2"

// TestDuplex moves two gibibytes each way at the same time, in one exchange, which is two streams. In the middle the client
// reads nothing for ten seconds.
func TestDuplex(t *testing.T) {
	if testing.Short() {
		t.Skip("two gibibytes each way were left out")
	}
	const size = 2 * gibibyte
	want := sync.OnceValue(func() string { return origin.StreamSHA(7, size) })
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("h2 %v", h2), func(t *testing.T) {
			t.Parallel() // each has a kz of its own
			b := bed.New(t)
			b.Secret("API_KEY", `hosts = ["api.test"]`)
			b.WithoutRace()
			b.Env = append(b.Env, tight)
			p := b.StartProxy()
			c := &child{Process: p.Process, env: variables(p.Env)}
			allowed := heldOfExchange(h2)
			client := c.client(t, h2)
			client.Timeout = bed.Timeout
			// What kz keeps after the first of its kind is not held of the second one.
			for range 3 {
				if _, err := c.duplex(client, 64<<20, 64<<20, 0, func() {}); err != nil {
					t.Fatal(err)
				}
			}
			before := resident(t, p.Pid)
			watch := watchResident(t, p.Pid)
			began := time.Now()
			var stalled int
			sum, err := c.duplex(client, size, size, size/2, func() {
				time.Sleep(10 * time.Second)
				stalled = resident(t, p.Pid)
			})
			took := time.Since(began) - 10*time.Second
			most := watch()
			if err != nil {
				t.Fatal(err)
			}
			if sum != want() {
				t.Errorf("down came %s, want %s", sum, want())
			}
			list := received(t, b, "/duplex")
			if got := list[len(list)-1]; got.BodyLen != size || got.BodySHA != want() {
				t.Errorf("up came %d bytes, %s", got.BodyLen, got.BodySHA)
			}
			t.Logf("%.0f MB/s each way; kz had %d KiB before, %d more when the client had not read for 10 s, at most %d more", size/took.Seconds()/1e6, before, stalled-before, most-before)
			if most-before > allowed+ofProcess {
				t.Errorf("kz held %d KiB of the two streams, more than %d", most-before, allowed+ofProcess)
			}
			end := p.Stop()
			end.Exits(t, 0)
			b.Clean(end)
		})
	}
}

// TestStalledStreams has many streams at the same time whose client does not read: by HTTP/1.1 each on its own connection, by
// HTTP/2 all on one. Each exchange is two streams, one each way.
func TestStalledStreams(t *testing.T) {
	const exchanges, whole = 64, 16 << 20
	want := origin.StreamSHA(7, whole)
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("h2 %v", h2), func(t *testing.T) {
			b := bed.New(t)
			b.Secret("API_KEY", `hosts = ["api.test"]`)
			b.WithoutRace()
			b.Env = append(b.Env, tight)
			p := b.StartProxy()
			c := &child{Process: p.Process, env: variables(p.Env)}
			allowed := heldOfExchange(h2)
			client := c.client(t, h2)
			client.Timeout = bed.Timeout
			client.Transport.(*http.Transport).MaxIdleConnsPerHost = exchanges
			// many has all of them at the same time, and calls then when each has got at bytes.
			many := func(up, down, at int64, then func()) {
				var reading sync.WaitGroup
				reading.Add(exchanges)
				goOn := make(chan bool)
				var group errgroup.Group
				for range exchanges {
					group.Go(func() error {
						sum, err := c.duplex(client, up, down, at, func() { reading.Done(); <-goOn })
						if err == nil && down == whole && sum != want {
							err = fmt.Errorf("down came %s", sum)
						}
						return err
					})
				}
				reading.Wait()
				then()
				close(goOn)
				if err := group.Wait(); err != nil {
					t.Error(err)
				}
			}
			many(1000, 1000, 500, func() {}) // what a connection takes, idle, is not of its streams
			before, held := resident(t, p.Pid), 0
			many(4<<20, whole, 1<<20, func() {
				// The upstreams send until the windows and the sockets are full.
				for last := -1; last != resident(t, p.Pid); time.Sleep(time.Second) {
					last = resident(t, p.Pid)
				}
				held = (resident(t, p.Pid) - before) / exchanges
			})
			t.Logf("kz had %d KiB before, and held %d KiB of each of %d exchanges", before, held, exchanges)
			if held > allowed {
				t.Errorf("kz held %d KiB of each exchange, more than %d", held, allowed)
			}
		})
	}
}

// duplex sends and gets bytes at the same time, and returns the hash of what came. It calls pause when at bytes are read.
func (c *child) duplex(client *http.Client, up, down, at int64, pause func()) (string, error) {
	r, err := http.NewRequest("POST", fmt.Sprintf("https://api.test/duplex?seed=7&n=%d", down), struct{ io.Reader }{origin.Stream(7, up)})
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+c.env["API_KEY"])
	r.Header.Set("Content-Type", "application/octet-stream")
	resp, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	h := sha256.New()
	if _, err := io.CopyN(h, resp.Body, at); err != nil {
		return "", err
	}
	pause()
	_, err = io.Copy(h, resp.Body)
	return hex.EncodeToString(h.Sum(nil)), err
}

var rss = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)

// resident is what a process has in memory, in KiB.
func resident(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	m := rss.FindSubmatch(text)
	if err != nil || m == nil {
		t.Errorf("reading the status of kz: %v", err)
		return 0
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n
}

// watchResident looks from now on until the function it returns is called, which says the most there was.
func watchResident(t *testing.T, pid int) func() int {
	t.Helper()
	stop, most := make(chan bool), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				most <- n
				return
			case <-time.After(50 * time.Millisecond):
				n = max(n, resident(t, pid))
			}
		}
	}()
	return func() int { stop <- true; return <-most }
}
