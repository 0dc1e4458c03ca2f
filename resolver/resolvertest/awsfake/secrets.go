package awsfake

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Version is one version of a secret's value.
type Version struct {
	ID     string   // "" makes one
	Stages []string // nil is AWSCURRENT
	String string
	Binary []byte // in place of String when not nil
}

const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
)

type secret struct {
	name, arn string
	versions  []*version
}

type version struct {
	Version
	created time.Time
}

// Put sets a secret's current value, making the secret when it is new, and
// returns the version's id. The value before stays readable as AWSPREVIOUS.
func (s *Server) Put(name, value string) string {
	return s.PutVersion(name, Version{String: value})
}

// PutBinary is Put for a binary value.
func (s *Server) PutBinary(name string, value []byte) string {
	return s.PutVersion(name, Version{Binary: value})
}

// PutVersion adds a version. A stage that it carries is taken from the version
// that had it; the version that had AWSCURRENT gets AWSPREVIOUS.
func (s *Server) PutVersion(name string, v Version) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.putLocked(name, v)
}

func (s *Server) putLocked(name string, v Version) string {
	sec := s.secrets[name]
	if sec == nil {
		sum := sha256.Sum256([]byte(name))
		sec = &secret{name: name, arn: fmt.Sprintf("arn:aws:secretsmanager:%s:%s:secret:%s-%s", s.opt.Region, s.opt.AccountID, name, hex.EncodeToString(sum[:3]))}
		s.secrets[name] = sec
	}
	if v.ID == "" {
		s.serial++
		v.ID = "11111111-1111-4111-8111-" + pad12(s.serial)
	}
	if v.Stages == nil {
		v.Stages = []string{current}
	}
	if slices.Contains(v.Stages, current) {
		for _, old := range sec.versions {
			old.drop(previous)
			if old.drop(current) {
				old.Stages = append(old.Stages, previous)
			}
		}
	}
	for _, stage := range v.Stages {
		for _, old := range sec.versions {
			old.drop(stage)
		}
	}
	sec.versions = append(sec.versions, &version{Version: v, created: s.opt.Now()})
	return v.ID
}

// Delete removes a secret at once.
func (s *Server) Delete(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.secrets, name)
}

// ARN returns a secret's ARN, or "" when there is no such secret.
func (s *Server) ARN(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sec := s.secrets[name]; sec != nil {
		return sec.arn
	}
	return ""
}

func (v *version) drop(stage string) bool {
	i := slices.Index(v.Stages, stage)
	if i < 0 {
		return false
	}
	v.Stages = slices.Delete(slices.Clone(v.Stages), i, i+1)
	return true
}

// find looks a secret up by name, by ARN, or by ARN without the random suffix.
func (s *Server) find(id string) *secret {
	if sec := s.secrets[id]; sec != nil {
		return sec
	}
	if !strings.HasPrefix(id, "arn:") {
		return nil
	}
	for _, sec := range s.secrets {
		if id == sec.arn || id == sec.arn[:len(sec.arn)-len("-000000")] {
			return sec
		}
	}
	return nil
}

// pick returns the version that a request names; both empty is AWSCURRENT.
func (sec *secret) pick(id, stage string) *version {
	if id == "" && stage == "" {
		stage = current
	}
	for _, v := range sec.versions {
		if (id == "" || v.ID == id) && (stage == "" || slices.Contains(v.Stages, stage)) {
			return v
		}
	}
	return nil
}
