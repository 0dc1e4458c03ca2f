package load

import (
	"errors"
	"io"
	"sync"
	"time"

	"kz/test/bench/wire"
)

// Result is what happened within a time.
type Result struct {
	Elapsed   time.Duration
	Latencies []time.Duration // one for each that was completed in it, in no order
}

// PerSecond is the rate of completion.
func (r Result) PerSecond() float64 { return float64(len(r.Latencies)) / r.Elapsed.Seconds() }

// Clients says how many requests are under way.
type Clients struct {
	Protocol string // "http/1.1" or "h2"
	Conns    int
	Streams  int // on each connection; 1 for HTTP/1.1
}

// driver is a connection that is ready for a run.
type driver interface {
	// drive sends requests until the time is over; with a time that is, each stream is used once.
	drive(until time.Time, latencies []time.Duration) ([]time.Duration, error)
}

// Requests sends small JSON requests over warm connections, each as soon as the one before it is answered.
func (r *Route) Requests(c Clients, d time.Duration) (Result, error) {
	conns := make([]io.Closer, c.Conns)
	defer func() {
		for _, conn := range conns {
			if conn != nil {
				_ = conn.Close()
			}
		}
	}()
	drivers := make([]driver, c.Conns)
	err := parallel(c.Conns, func(i int) error {
		conn, err := r.Dial(wire.Host, c.Protocol, nil)
		if err != nil {
			return err
		}
		conns[i] = conn
		if c.Protocol == "h2" {
			drivers[i], err = newH2(conn, r, c.Streams)
		} else {
			drivers[i] = newH1(conn, r)
		}
		if err == nil {
			_, err = drivers[i].drive(time.Time{}, nil)
		}
		return err
	})
	if err != nil {
		return Result{}, err
	}
	return collect(c.Conns, d, func(i int, until time.Time, l []time.Duration) ([]time.Duration, error) {
		return drivers[i].drive(until, l)
	})
}

// collect runs n drivers side by side for a time.
func collect(n int, d time.Duration, run func(i int, until time.Time, l []time.Duration) ([]time.Duration, error)) (Result, error) {
	all := make([][]time.Duration, n)
	for i := range all {
		all[i] = make([]time.Duration, 0, 4096)
	}
	began := time.Now()
	err := parallel(n, func(i int) (err error) {
		all[i], err = run(i, began.Add(d), all[i])
		return err
	})
	res := Result{Elapsed: time.Since(began)}
	for _, l := range all {
		res.Latencies = append(res.Latencies, l...)
	}
	if err == nil && len(res.Latencies) == 0 {
		err = errors.New("nothing was completed")
	}
	return res, err
}

// parallel runs f n times at once and returns the first error by number.
func parallel(n int, f func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
