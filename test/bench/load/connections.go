package load

import (
	"crypto/tls"
	"errors"
	"time"

	"kz/test/bench/wire"
)

// Freshness says how new connections are to a peer.
type Freshness int

const (
	SameHost Freshness = iota // a full handshake, to a host that is known
	NewHost                   // to a host that was never asked for before
	Resumed                   // with the session of the connection before it
)

// Connections opens a connection, sends one request, closes, and begins again, with so many at work at once. resumed is the
// share of those whose TLS session was resumed.
func (r *Route) Connections(kind Freshness, workers int, d time.Duration) (res Result, resumed float64, err error) {
	caches := make([]tls.ClientSessionCache, workers)
	for i := range caches {
		if kind == Resumed {
			caches[i] = tls.NewLRUClientSessionCache(1)
		}
	}
	counts := make([]int, workers)
	once := func(i int) error {
		host := wire.Host
		if kind == NewHost {
			host = wire.NewHost(r.hosts.Add(1) - 1)
		}
		conn, err := r.Dial(host, "http/1.1", caches[i])
		if err != nil {
			return err
		}
		if conn.ConnectionState().DidResume {
			counts[i]++
		}
		c := newH1(conn, r)
		return errors.Join(c.do(chatRequest(host, r.Token), c.want), conn.Close())
	}
	if err := parallel(workers, once); err != nil { // the first ones fill caches
		return Result{}, 0, err
	}
	clear(counts)
	res, err = collect(workers, d, func(i int, until time.Time, latencies []time.Duration) ([]time.Duration, error) {
		for began := time.Now(); ; {
			if err := once(i); err != nil {
				return latencies, err
			}
			ended := time.Now()
			latencies = append(latencies, ended.Sub(began))
			if !ended.Before(until) {
				return latencies, nil
			}
			began = ended
		}
	})
	total := 0
	for _, n := range counts {
		total += n
	}
	return res, float64(total) / float64(max(1, len(res.Latencies))), err
}
