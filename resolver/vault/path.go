package vault

import (
	"context"
	"errors"
	"strings"

	"kz/resolver"
)

// mount is an engine that Vault has at a path.
type mount struct {
	path string // ends in /
	kv   int    // 1 or 2; 0 is another engine
}

// place is what a reference leads to.
type place struct {
	path    string // with the mount in front, without /data/ unless the reference has it
	named   string // the mount as the reference or the backend names it; "" when neither does
	mount   mount  // as Vault says, when known is set
	known   bool
	version int
}

// place is the path a reference means, with its mount in front; mount is "" when
// neither the reference nor the backend names it.
func (s *Store) place(ref resolver.Ref) (path, mount string, err error) {
	id := strings.Trim(ref.ID, "/")
	if id == "" {
		return "", "", &resolver.Error{Kind: resolver.InvalidReference, Message: "no path is named", Advice: `write path = "secret/NAME"`}
	}
	m := strings.Trim(ref.Mount, "/")
	if m == "" {
		m = s.opt.Mount
	}
	if m != "" && !strings.HasPrefix(id, m+"/") {
		id = m + "/" + id
	}
	return id, m, checkPath(id)
}

// checkPath refuses what would lead elsewhere than it reads.
func checkPath(path string) error {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return &resolver.Error{Kind: resolver.InvalidReference, Message: "the path has an empty segment, . or .. in it", Advice: `write it as "secret/my-app"`}
		}
	}
	if strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return &resolver.Error{Kind: resolver.InvalidReference, Message: "the path has control characters in it"}
	}
	return nil
}

// withData puts the /data/ segment after the mount, unless it is there.
func withData(path, mount string) string {
	rest := strings.TrimPrefix(path, mount)
	if rest == "data" || strings.HasPrefix(rest, "data/") {
		return path
	}
	return mount + "data/" + rest
}

// readObject reads a path, in the form that its mount asks for.
func (s *Store) readObject(ctx context.Context, p place) (*object, error) {
	if p.known {
		api := p.path
		if p.mount.kv == 2 {
			api = withData(p.path, p.mount.path)
		}
		o, err := s.read(ctx, api, p.version, p.mount.kv == 2)
		if errors.Is(err, resolver.NotFound) {
			s.forget(p.mount) // it may have been mounted anew, with another version
		}
		return o, err
	}
	// Vault does not say what is mounted, to this token or at all. Version 2 is what
	// there is most of; what is no version 2 has nothing at that path.
	mount := p.named
	if mount == "" {
		mount, _, _ = strings.Cut(p.path, "/")
	}
	guess := withData(p.path, mount+"/")
	o, err := s.read(ctx, guess, p.version, true)
	if guess == p.path || !errors.Is(err, resolver.NotFound) && !errors.Is(err, resolver.AccessDenied) {
		return o, err
	}
	plain, second := s.read(ctx, p.path, 0, false)
	if second == nil || errors.Is(err, resolver.NotFound) {
		return plain, second
	}
	return nil, err
}

// mountOf asks Vault what is mounted where path leads, as the vault command
// does. known is unset when Vault does not say. Of several mounts kept, one
// inside the other, the inner one is meant.
func (s *Store) mountOf(ctx context.Context, path string) (m mount, known bool, err error) {
	s.mu.Lock()
	for prefix, kept := range s.mounts {
		if strings.HasPrefix(path+"/", prefix) && len(prefix) > len(m.path) {
			m, known = kept, true
		}
	}
	s.mu.Unlock()
	if known {
		return m, true, nil
	}
	var answer struct {
		Data struct {
			Path    string
			Type    string
			Options map[string]string
		}
	}
	if err := s.callInto(ctx, call{path: "sys/internal/ui/mounts/" + path, asking: true}, &answer); err != nil {
		switch resolver.KindOf(err) {
		case resolver.NotFound, resolver.AccessDenied, resolver.InvalidReference:
			return mount{}, false, nil
		}
		return mount{}, false, err
	}
	m.path = strings.Trim(answer.Data.Path, "/") + "/"
	if m.path == "/" || !strings.HasPrefix(path+"/", m.path) {
		return mount{}, false, nil
	}
	if answer.Data.Type == "kv" || answer.Data.Type == "generic" {
		m.kv = 1
		if answer.Data.Options["version"] == "2" {
			m.kv = 2
		}
	}
	s.mu.Lock()
	s.mounts[m.path] = m
	s.mu.Unlock()
	return m, true, nil
}

func (s *Store) forget(m mount) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mounts, m.path)
}
