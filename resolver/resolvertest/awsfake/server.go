// Package awsfake is a stand-in for AWS Secrets Manager, Systems Manager's
// Parameter Store and STS, for tests.
//
// A [Server] is an http.Handler that speaks the services' own protocols
// (JSON 1.1, STS's query and XML, the container credential endpoint, which is
// that of the EKS pod identity agent) and verifies every signature by signing the request again with
// the SDK's own SigV4 signer, so that a client with a wrong key, a wrong
// region or a changed body is refused as AWS would refuse it.
//
//	fake := awsfake.New(awsfake.Options{})
//	fake.Put("prod/openai", `{"api_key":"sk-1"}`)
//	srv := httptest.NewServer(fake)
//	// AWS_ENDPOINT_URL=srv.URL, with the credentials of awsfake.DefaultKey
//
// It knows one account in one region. Policies, KMS and rotation schedules are
// not modelled: use [Server.Fail] for the errors that they would cause.
package awsfake

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Key is a credential that the fake accepts.
type Key struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string    // "" for a long-term key
	Expires         time.Time // zero: never
	ARN             string    // who it is; "" is a user of the fake's account
}

// DefaultKey is accepted when Options names no key.
var DefaultKey = Key{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}

// Options sets up a Server.
type Options struct {
	Region           string           // "" is us-east-1; requests signed for another region are refused
	AccountID        string           // "" is 123456789012
	Keys             []Key            // none: DefaultKey
	WebIdentityToken string           // the one token that AssumeRoleWithWebIdentity accepts; "" refuses all; see SetWebIdentityToken
	ContainerToken   string           // the Authorization that GET /v1/credentials expects; "" turns the endpoint off
	ExternalID       string           // what AssumeRole must be given; "" takes anything
	PageSize         int              // entries in a BatchGetSecretValue or ListSecrets page; 0 is 20
	Now              func() time.Time // nil is time.Now
	Issuer           *Server          // whose temporary keys are accepted too; nil: only its own
}

// Server is the fake. It is safe for concurrent use.
type Server struct {
	opt Options

	mu         sync.Mutex
	keys       map[string]Key
	secrets    map[string]*secret
	parameters map[string]*parameter
	failures   []*Failure
	log        []Request
	serial     int
}

// Request is one entry of the request log.
type Request struct {
	Operation   string   // "GetSecretValue", "AssumeRole", …; "" when none was named
	SecretIDs   []string // what it asked for
	Input       json.RawMessage
	Header      http.Header
	AccessKeyID string // whose signature it carried
	Status      int    // what was answered; 0 when the answer was withheld
	Code        string // the error's code; "" on success
}

// New makes a Server.
func New(o Options) *Server {
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.AccountID == "" {
		o.AccountID = "123456789012"
	}
	if len(o.Keys) == 0 {
		o.Keys = []Key{DefaultKey}
	}
	if o.PageSize <= 0 {
		o.PageSize = maxBatch
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{opt: o, keys: map[string]Key{}, secrets: map[string]*secret{}, parameters: map[string]*parameter{}}
	for _, k := range o.Keys {
		s.keys[k.AccessKeyID] = k
	}
	return s
}

// Requests returns the log so far, oldest first.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.log...)
}

// Count returns how many requests named the operation.
func (s *Server) Count(operation string) int {
	n := 0
	for _, r := range s.Requests() {
		if r.Operation == operation {
			n++
		}
	}
	return n
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	if s.opt.ContainerToken != "" && r.Method == http.MethodGet && r.URL.Path == "/v1/credentials" {
		s.containerCredentials(w, r)
		return
	}
	w.Header().Set("Date", s.opt.Now().UTC().Format(http.TimeFormat)) // by which the SDK mends its clock
	c := parseCall(r, body)
	result, fault := s.answer(r, c)
	if fault != nil && fault.hang {
		s.record(c, 0, "")
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
	status, code := http.StatusOK, ""
	if fault != nil {
		status, code = fault.status, fault.code
	}
	s.record(c, status, code)
	w.Header().Set("X-Amzn-Requestid", s.requestID())
	if c.query() {
		writeXML(w, c.op, result, fault)
		return
	}
	writeJSON(w, result, fault)
}

// answer checks the signature, then injected failures, then does the work.
func (s *Server) answer(r *http.Request, c *call) (any, *fault) {
	if c.service == "" || r.Method != http.MethodPost || r.URL.Path != "/" {
		return nil, &fault{status: 404, code: "UnknownOperationException"}
	}
	anonymous := c.op == "AssumeRoleWithWebIdentity"
	if !anonymous {
		key, f := s.verify(r, c)
		if f != nil {
			return nil, f
		}
		c.key = key
	}
	if f := s.injected(c); f != nil {
		return nil, f
	}
	if c.query() {
		return s.sts(c)
	}
	if c.service == "ssm" {
		return s.ssm(c)
	}
	return s.secretsManager(c)
}

func (s *Server) record(c *call, status int, code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, Request{
		Operation: c.op, SecretIDs: c.ids, Input: json.RawMessage(c.body), Header: c.header,
		AccessKeyID: accessKeyID(c.header), Status: status, Code: code,
	})
}

func (s *Server) requestID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	return "00000000-0000-4000-8000-" + pad12(s.serial)
}

func pad12(n int) string {
	d := strconv.Itoa(n)
	return "000000000000"[:12-len(d)] + d
}

func writeJSON(w http.ResponseWriter, result any, f *fault) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if f == nil {
		json.NewEncoder(w).Encode(result)
		return
	}
	w.WriteHeader(f.status)
	if f.raw != nil {
		w.Write(f.raw)
		return
	}
	json.NewEncoder(w).Encode(map[string]string{"__type": f.code, "Message": f.message})
}
