package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"kz/test/bed"
)

// What holds beside every attack: a good request through the same kz takes at most goodTime longer than the same request
// without kz, made at the same moment, the middle one of all at most half of that, and kz never has more than mostMemory in
// memory. The time in which threads of kz were ready to run and the kernel gave them no processor, because the machine was busy
// with others, is not counted: on a machine with nothing else to do it is next to none.
const (
	goodTime   = 2 * time.Second
	mostMemory = 200 << 10 // KiB
)

// siege is a kz proxy under attack, with a good client beside.
type siege struct {
	t     *testing.T
	b     *bed.Bed
	p     *bed.Proxy
	c     *child
	value string // of API_KEY
	roots *x509.CertPool
	own   *x509.CertPool // the origin's
}

// newSiege starts a kz without the race detector. API_KEY is bound to api.test, where the good requests go; BAD_KEY, which
// may stand anywhere, to *.wild.test, where the bad ones go. set changes the bed before the start.
func newSiege(t *testing.T, set func(b *bed.Bed), flags ...string) *siege {
	t.Helper()
	b := bed.New(t)
	s := &siege{t: t, b: b}
	s.value = b.Secret("API_KEY", `hosts = ["api.test"]`)
	b.Secret("BAD_KEY", `hosts = ["*.wild.test"]`, `swap = ["header", "basic", "body", "body:*", "frame"]`)
	b.WithoutRace()
	if set != nil {
		set(b)
	}
	s.p = b.StartProxy(flags...)
	s.c = &child{Process: s.p.Process, env: variables(s.p.Env)}
	s.roots = s.c.roots(t)
	s.own = x509.NewCertPool()
	s.own.AppendCertsFromPEM(b.Origin.CAPEM())
	return s
}

// good makes one good request, with a connection of its own: through kz or without it.
func (s *siege) good(through bool) (time.Duration, error) {
	began := time.Now()
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.own}, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", s.b.Origin.Addr("tls"))
	}}
	bearer := s.value
	if through {
		tr = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.roots}, Proxy: http.ProxyURL(s.c.wayOut(s.t))}
		bearer = s.c.env["API_KEY"]
	}
	defer tr.CloseIdleConnections()
	r, _ := http.NewRequest("GET", "https://api.test/ok", nil)
	r.Header.Set("Authorization", "Bearer "+bearer)
	resp, err := (&http.Client{Transport: tr, Timeout: 30 * time.Second}).Do(r)
	if err != nil {
		return time.Since(began), err
	}
	defer resp.Body.Close()
	if _, err = io.Copy(io.Discard, resp.Body); err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return time.Since(began), err
}

// during runs attack and, from its beginning to its end, good requests.
func (s *siege) during(attack func(ctx context.Context)) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	over := make(chan bool)
	go func() {
		defer close(over)
		attack(ctx)
	}()
	var through, direct, longer []time.Duration
	var late, failed []string
	for done := false; !done; {
		select {
		case <-over:
			done = true
		case <-time.After(200 * time.Millisecond):
		}
		var wg sync.WaitGroup
		var d time.Duration
		var derr error
		wg.Go(func() { d, derr = s.good(false) })
		waited := queued(s.p.Pid)
		k, err := s.good(true)
		waited = queued(s.p.Pid).since(waited)
		wg.Wait()
		if err = errors.Join(err, derr); err != nil {
			failed = append(failed, fmt.Sprintf("after %s: %v", k, err))
		} else if k > goodTime+d+waited.total() {
			late = append(late, fmt.Sprintf("%s, and %s without kz; kz waited %s for a processor", k, d, waited.total()))
		}
		through, direct, longer = append(through, k), append(direct, d), append(longer, k-d-waited.total())
	}
	if len(failed) > 0 {
		s.t.Errorf("%d good requests failed; the first one %s", len(failed), failed[0])
	}
	if len(late) > 0 {
		s.t.Errorf("%d good requests were late; the first one took %s", len(late), late[0])
	}
	if m := median(longer); m > goodTime/2 {
		s.t.Errorf("of %d good requests the middle one took %s longer than without kz", len(longer), m)
	}
	most := highWater(s.t, s.p.Pid)
	s.t.Logf("%d good requests: median %s, longest %s (without kz %s, %s); kz had at most %d MiB and used %s of processors", len(through),
		median(through).Round(time.Millisecond), slices.Max(through).Round(time.Millisecond), median(direct).Round(time.Millisecond), slices.Max(direct).Round(time.Millisecond), most>>10, processorTime(s.t, s.p.Pid))
	if most > mostMemory {
		s.t.Errorf("kz had %d MiB in memory", most>>10)
	}
}

// over ends kz in good order.
func (s *siege) over() {
	s.t.Helper()
	began := time.Now()
	end := s.p.Stop()
	end.Exits(s.t, 0)
	if took := time.Since(began); took > 15*time.Second {
		s.t.Errorf("kz took %s to stop", took)
	}
	s.b.Clean(end)
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

var hwm = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// highWater is the most that a process ever had in memory, in KiB.
func highWater(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	m := hwm.FindSubmatch(text)
	if err != nil || m == nil {
		t.Fatalf("reading the status of kz: %v", err)
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n
}

// dial connects to kz and, with a target, opens a tunnel to it.
func (s *siege) dial(target string) (net.Conn, error) {
	conn, err := net.Dial("tcp", s.c.wayOut(s.t).Host)
	if err != nil || target == "" {
		return conn, err
	}
	fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", target, target, s.c.credential(s.t))
	resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), &http.Request{Method: "CONNECT"})
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// inside is a connection whose TLS ends at kz.
func (s *siege) inside(host string, alpn ...string) (*tls.Conn, error) {
	raw, err := s.dial(host + ":443")
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, &tls.Config{ServerName: host, RootCAs: s.roots, NextProtos: alpn})
	if err := conn.Handshake(); err != nil {
		_ = raw.Close()
		return nil, err
	}
	return conn, nil
}

// many runs one for each of n attackers at the same time, some of them starting at a time, until ctx ends or all are done.
func many(ctx context.Context, n int, one func(ctx context.Context, i int) error) (failed []error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for i := range n {
		wg.Go(func() {
			if err := one(ctx, i); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, err)
			}
		})
		if i%8 == 7 {
			time.Sleep(4 * time.Millisecond) // a backlog is no attack
		}
	}
	wg.Wait()
	return failed
}

// processorTime is what a process has used of processors.
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if err != nil || len(f) < 13 {
		t.Fatalf("reading what kz has used: %v", err)
	}
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100 everywhere
}

// queue is how long each thread of a process was ready to run and had no processor.
type queue map[string]time.Duration

func queued(pid int) queue {
	q := queue{}
	dir := fmt.Sprintf("/proc/%d/task", pid)
	threads, _ := os.ReadDir(dir)
	for _, thread := range threads {
		text, _ := os.ReadFile(filepath.Join(dir, thread.Name(), "schedstat"))
		if f := strings.Fields(string(text)); len(f) > 1 {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			q[thread.Name()] = time.Duration(n)
		}
	}
	return q
}

func (q queue) since(before queue) queue {
	d := queue{}
	for thread, n := range q {
		d[thread] = n - before[thread]
	}
	return d
}

func (q queue) total() (sum time.Duration) {
	for _, n := range q {
		sum += n
	}
	return sum
}
