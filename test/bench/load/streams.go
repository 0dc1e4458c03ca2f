package load

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"kz/test/bench/wire"
)

// EventTimes is what a stream of events took.
type EventTimes struct {
	Head      time.Duration   // from the request to the head of the answer
	Latencies []time.Duration // of each event, from its sending by the origin to its arrival
}

// Events reads a stream of events, which begins once its head has come, or after hold: then the head did not come before.
func (r *Route) Events(protocol string, count int, gap, hold time.Duration) (EventTimes, error) {
	var times EventTimes
	do, stop, err := r.connection(wire.Host, protocol)
	if err != nil {
		return times, err
	}
	defer stop()
	if _, err := r.stream(do, 1, 0, 0); err != nil { // warms up
		return times, err
	}
	tell, stopTelling, err := r.connection(wire.Host, protocol)
	if err != nil {
		return times, err
	}
	defer stopTelling()
	id := rand.Text()
	begin, err := newRequest(http.MethodGet, wire.Host, wire.Begin+"?id="+id, r.Token, nil)
	if err != nil {
		return times, err
	}
	began := time.Now()
	req, err := r.eventRequest(count, gap, hold, id)
	if err != nil {
		return times, err
	}
	resp, err := do(req)
	if err != nil {
		return times, err
	}
	defer resp.Body.Close()
	times.Head = time.Since(began)
	told, err := tell(begin)
	if err != nil {
		return times, err
	}
	_ = told.Body.Close()
	times.Latencies, err = r.readEvents(resp, count)
	if err == nil && times.Head >= hold {
		err = fmt.Errorf("the head came after %s, with the first event", times.Head)
	}
	return times, err
}

// eventRequest asks for events; id is "" where nobody will say that they are to begin.
func (r *Route) eventRequest(count int, gap, hold time.Duration, id string) (*http.Request, error) {
	q := url.Values{"id": {id}, "count": {strconv.Itoa(count)}, "gap": {gap.String()}, "hold": {hold.String()}}
	return newRequest(http.MethodGet, wire.Host, wire.Events+"?"+q.Encode(), r.Token, nil)
}

func (r *Route) stream(do exchange, count int, gap, hold time.Duration) ([]time.Duration, error) {
	req, err := r.eventRequest(count, gap, hold, "")
	if err != nil {
		return nil, err
	}
	resp, err := do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return r.readEvents(resp, count)
}

func (r *Route) readEvents(resp *http.Response, count int) (latencies []time.Duration, err error) {
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %d", resp.StatusCode)
	}
	lines := bufio.NewReader(resp.Body)
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF && line == "" {
			break
		}
		if err != nil {
			return nil, err
		}
		now := time.Now()
		if line == "\n" {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[2] != r.Token {
			return nil, fmt.Errorf("an event that is not the one wanted: %q", line)
		}
		at, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return nil, err
		}
		latencies = append(latencies, now.Sub(time.Unix(0, at)))
	}
	if len(latencies) != count {
		return nil, fmt.Errorf("%d events came, not %d", len(latencies), count)
	}
	return latencies, nil
}

// Idle opens so many connections that have served a request, and keeps them until stop.
func (r *Route) Idle(n int) (stop func(), err error) {
	var conns []io.Closer
	stop = func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}
	for range n {
		conn, err := r.Dial(wire.Host, "http/1.1", nil)
		if err != nil {
			return stop, err
		}
		conns = append(conns, conn)
		c := newH1(conn, r)
		if err := c.do(c.request, c.want); err != nil {
			return stop, err
		}
	}
	return stop, nil
}

// Open opens conns connections with so many streams of events on each, which have had one event, and keeps them until stop.
func (r *Route) Open(protocol string, conns, streams int) (stop func(), err error) {
	var ends []func()
	var bodies []io.Closer
	stop = func() {
		for _, end := range ends { // first, for the body of an open HTTP/1.1 connection would be read to its end
			end()
		}
		for _, b := range bodies {
			_ = b.Close()
		}
		for _, end := range ends { // h2 connections are idle now
			end()
		}
	}
	for range conns {
		do, end, err := r.connection(wire.Host, protocol)
		if err != nil {
			return stop, err
		}
		ends = append(ends, end)
		for range streams {
			req, err := r.eventRequest(2, time.Hour, 0, "")
			if err != nil {
				return stop, err
			}
			resp, err := do(req)
			if err != nil {
				return stop, err
			}
			bodies = append(bodies, resp.Body)
			var begin [6]byte
			if _, err := io.ReadFull(resp.Body, begin[:]); err != nil || string(begin[:]) != "data: " {
				return stop, errors.Join(err, fmt.Errorf("an event that begins with %q", begin))
			}
		}
	}
	return stop, nil
}
