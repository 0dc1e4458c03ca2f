package cli

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"kz/ca"
	"kz/cmd/kz/config"
	"kz/masking"
)

// sessionFile is the form of --session-file. It holds a key: mode 0600, and nothing else may read it.
type sessionFile struct {
	Version    int    `json:"version"`
	ID         string `json:"session"`
	Credential string `json:"credential"`
	Key        string `json:"mask_key"`
	CACert     string `json:"ca_cert"`
	CAKey      string `json:"ca_key"`
}

// proxyIdentity is the identity of `kz proxy`: a new one, the one in the session file, or one with the kept authority.
func (a *app) proxyIdentity(cfg *config.Config, f proxyFlags) (*identity, error) {
	id, err := a.sessionIdentity(f.SessionFile)
	if err != nil || f.Authority == "" {
		return id, err
	}
	dir, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	if id.Authority, err = ca.LoadKept(filepath.Join(dir, "ca")); err != nil {
		return nil, withHint(err, "`kz ca install` makes it")
	}
	if missing := uncovered(id.Authority.Certificate(), boundHosts(cfg)); len(missing) > 0 {
		a.ui.Warnf("the installed authority does not cover %s; clients will not trust it there", strings.Join(missing, ", "))
		a.ui.Hintf("`kz ca install` replaces it by one that does")
	}
	return id, nil
}

func (a *app) sessionIdentity(path string) (*identity, error) {
	if path == "" {
		return newIdentity()
	}
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		id, err := newIdentity()
		if err != nil {
			return nil, err
		}
		return id, id.save(path)
	}
	bad := func(why string) (*identity, error) {
		return nil, withHint(fmt.Errorf("reading the session file %s: %s", path, why), "remove it to begin a new session; clients then need the new variables")
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the session file: %w", err)
	case !info.Mode().IsRegular():
		return bad("it is not a regular file")
	case info.Mode().Perm()&0o077 != 0 || !ownedByUser(info):
		return bad("others can read it, or it belongs to another user")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the session file: %w", err)
	}
	var f sessionFile
	if json.Unmarshal(data, &f) != nil || f.Version != 1 || len(f.Credential) < 32 || f.ID == "" {
		return bad("it is damaged")
	}
	id := &identity{ID: f.ID, Credential: f.Credential}
	if n, err := hex.Decode(id.Key[:], []byte(f.Key)); err != nil || n != len(id.Key) || len(f.Key) != 2*len(id.Key) {
		return bad("it is damaged")
	}
	if id.Authority, err = ca.Load([]byte(f.CACert), []byte(f.CAKey)); err != nil {
		return bad("its authority cannot be used; it may have ended")
	}
	if left := id.Authority.Certificate().NotAfter.Sub(a.now()); left < 7*24*time.Hour {
		a.ui.Warnf("the session's authority ends in %s; remove %s soon to begin a new session", left.Round(time.Hour), path)
	}
	return id, nil
}

func (id *identity) save(path string) error {
	key, err := id.Authority.KeyPEM()
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(sessionFile{Version: 1, ID: id.ID, Credential: id.Credential, Key: hex.EncodeToString(keyBytes(id.Key)),
		CACert: string(id.Authority.CertPEM()), CAKey: string(key)}, "", "  ")
	if err != nil {
		return err
	}
	return writeFileAtomic(path, append(data, '\n'))
}

func keyBytes(k masking.Key) []byte { return k[:] }
