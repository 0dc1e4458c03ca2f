package proxy

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"kz/proxy/audit"
	"kz/proxy/policy"
)

// Between two lines about requests without the credential there is a second, and twice as long each time, up to a minute, until
// none has come for long: whoever sends them writes less than a megabyte a day, at whatever pace.
const (
	firstWait = time.Second
	lastWait  = time.Minute
	forgotten = 10 * lastWait
)

// strangers records requests that come without the credential: the first at once, of those that follow how many there were.
type strangers struct {
	record func(audit.Event)

	mu    sync.Mutex
	timer *time.Timer // nil: the next one is recorded at once
	wait  time.Duration
	told  time.Time   // the latest line
	more  int         // since then
	event audit.Event // the latest of them
}

// note takes one.
func (s *strangers) note(e audit.Event) {
	s.mu.Lock()
	if s.timer != nil {
		s.more++
		s.event = e
		s.mu.Unlock()
		return
	}
	s.pause()
	s.mu.Unlock()
	s.record(e)
}

// pause is called with mu held when there is to be a line.
func (s *strangers) pause() {
	now := time.Now()
	if now.Sub(s.told) > forgotten {
		s.wait = firstWait
	} else {
		s.wait = min(2*s.wait, lastWait)
	}
	s.told = now
	s.timer = time.AfterFunc(s.wait, s.tell)
}

// tell records what came since the latest line.
func (s *strangers) tell() {
	s.mu.Lock()
	if s.timer == nil {
		s.mu.Unlock()
		return
	}
	e, n := s.event, s.more
	if s.more, s.timer = 0, nil; n > 0 {
		s.pause()
	}
	s.mu.Unlock()
	if n > 0 {
		if n > 1 {
			e.Reason += fmt.Sprintf("; the latest of %d such requests since the line before", n)
		}
		s.record(e)
	}
}

// end is tell, without what comes later.
func (s *strangers) end() {
	s.tell()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// refuseStranger answers a request that may not pass. A wrong credential is recorded at once. Clients that wait to be asked for
// theirs, as git does, begin without one: that is recorded when the connection ends and none has come.
func (p *Proxy) refuseStranger(w http.ResponseWriter, r *http.Request) {
	ref, id := credentialRefusal(r), p.nextRequest()
	ref.write(w, id)
	c, _ := clientOf(r.Context()).(*limitedConn)
	given := len(r.Header["Proxy-Authorization"]) > 0
	if c == nil || !given && c.refused != nil {
		return
	}
	e := audit.Event{Time: time.Now().UTC(), Request: id, Kind: audit.Refusal, Method: r.Method, Status: ref.status(), Code: string(ref.Code), Reason: ref.Message}
	var a policy.Authority
	var err error
	switch {
	case r.Method == http.MethodConnect:
		a, err = policy.ParseAuthority(r.RequestURI, 0)
	case r.URL.IsAbs() && len(r.Method) <= len(http.MethodOptions): // a longer one is no method that would be forwarded
		a, err = policy.ParseAuthority(r.URL.Host, 80)
	default: // not for a proxy
		return
	}
	if err != nil {
		return
	}
	e.Host, e.Port = p.redact(a.Host), int(a.Port)
	if given {
		p.strangers.note(e)
	} else {
		p.unrecorded.Add(1)
		c.refused = &e
	}
}

// welcome forgets that the client of a connection began without the credential.
func (p *Proxy) welcome(r *http.Request) {
	admit(r.Context())
	if c, ok := clientOf(r.Context()).(*limitedConn); ok && c.refused != nil {
		c.refused = nil
		p.unrecorded.Add(-1)
	}
}

// frontState is http.Server.ConnState for connections from clients.
func (p *Proxy) frontState(conn net.Conn, s http.ConnState) {
	p.connState(conn, s)
	if c, ok := conn.(*limitedConn); ok && s == http.StateClosed && c.refused != nil {
		p.strangers.note(*c.refused)
		p.unrecorded.Add(-1)
	}
}
