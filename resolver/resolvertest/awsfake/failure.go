package awsfake

import (
	"net/http"
	"slices"
)

// Failure is an error to give in place of an answer. Requests that are not
// properly signed are refused before failures are looked at.
type Failure struct {
	Operation string // "" is any
	SecretID  string // the secret, parameter or role, as the client writes it; "" is any. In a batch of secrets, a named one fails alone
	Status    int    // 0 is 400
	Code      string // "AccessDeniedException"
	Message   string
	Body      []byte // the whole response body, in place of the service's own form
	Echo      bool   // repeat the request's Authorization, session token and form in the message, as a careless proxy might
	Hang      bool   // take the request and never answer it
	Times     int    // how many requests fail; 0 is all of them
}

// fault is an error on its way to the client.
type fault struct {
	status        int
	code, message string
	raw           []byte
	hang          bool
}

// Fail adds a failure. The first one added that fits a request is used.
func (s *Server) Fail(f Failure) {
	if f.Status == 0 {
		f.Status = http.StatusBadRequest
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = append(s.failures, &f)
}

// Recover removes all failures.
func (s *Server) Recover() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = nil
}

// injected returns the failure of a whole request.
func (s *Server) injected(c *call) *fault {
	return s.failure(c, func(f *Failure) bool {
		return f.SecretID == "" || (c.op != "BatchGetSecretValue" && slices.Contains(c.ids, f.SecretID))
	})
}

// injectedFor returns the failure of one secret of a batch.
func (s *Server) injectedFor(c *call, id string) *fault {
	return s.failure(c, func(f *Failure) bool { return f.SecretID == id })
}

func (s *Server) failure(c *call, fits func(*Failure) bool) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.failures {
		if f.Operation != "" && f.Operation != c.op || !fits(f) {
			continue
		}
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				s.failures = slices.Delete(s.failures, i, i+1)
			}
		}
		message := f.Message
		if f.Echo {
			message += " Authorization: " + c.header.Get("Authorization") + " X-Amz-Security-Token: " + c.header.Get("X-Amz-Security-Token")
			if c.query() {
				message += " " + string(c.body)
			}
		}
		return &fault{status: f.Status, code: f.Code, message: message, raw: f.Body, hang: f.Hang}
	}
	return nil
}
