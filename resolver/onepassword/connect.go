package onepassword

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"kz/resolver"
)

// server is a Connect server. https://developer.1password.com/docs/connect/api-reference
type server struct {
	opt    *Options
	client *http.Client
}

func newServer(o *Options) *server {
	return &server{opt: o, client: &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment, // the user's own
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:      true,
			DisableCompression:     true, // so that maxAnswer bounds what is decoded too
			MaxResponseHeaderBytes: 64 << 10,
		},
		// Connect sends nowhere else, and the token is for it alone.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (c *server) host() string {
	if c.opt.ConnectHost != "" {
		return c.opt.ConnectHost
	}
	return lookup(c.opt.Environ, "OP_CONNECT_HOST")
}

// call makes one request and returns the answer's body. path is escaped. A failure is told by at, what was asked for.
func (c *server) call(ctx context.Context, method, path string, query url.Values, body []byte, at target) ([]byte, error) {
	if c.host() == "" {
		return nil, &resolver.Error{Kind: resolver.InvalidReference, Message: "no Connect server is known",
			Advice: `write connect_host = "https://connect.example.com" in the backend, or set OP_CONNECT_HOST`}
	}
	u, err := parseHost(c.host())
	if err != nil {
		return nil, &resolver.Error{Kind: resolver.InvalidReference, Message: "OP_CONNECT_HOST is not of the form https://HOST:PORT", Advice: "correct it, or write `connect_host` in the backend"}
	}
	t, err := token(c.opt, "OP_CONNECT_TOKEN")
	if err != nil {
		return nil, err
	}
	address := u.Scheme + "://" + u.Host + strings.TrimSuffix(u.EscapedPath(), "/") + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, &resolver.Error{Kind: resolver.InvalidReference, Message: "the Connect server's address cannot be used", Advice: "check `connect_host`"}
	}
	r.Header.Set("Authorization", "Bearer "+t)
	r.Header.Set("User-Agent", "kz")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.client.Do(r)
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, refused(resp.StatusCode, at)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	if len(answer) > maxAnswer {
		return nil, &resolver.Error{Kind: resolver.Unavailable, Status: resp.StatusCode, Message: "the answer is longer than 4 MiB", Advice: "check that the address is the Connect server's, and that the reference names one field"}
	}
	return answer, nil
}

// get decodes the answer to a GET and returns it as it came too.
func (c *server) get(ctx context.Context, path string, query url.Values, at target, into any) ([]byte, error) {
	raw, err := c.call(ctx, http.MethodGet, path, query, nil, at)
	if err != nil {
		return nil, err
	}
	if json.Unmarshal(raw, into) != nil {
		return nil, &resolver.Error{Kind: resolver.Unavailable, Message: "the answer is not one of a Connect server", Advice: "check that `connect_host` is the Connect server's address"}
	}
	return raw, nil
}

func (c *server) check(ctx context.Context) error {
	var vaults []vault
	_, err := c.get(ctx, "/v1/vaults", nil, target{}, &vaults)
	return err
}

// read is the value that a reference means.
func (c *server) read(ctx context.Context, at reference) (string, error) {
	i, _, err := c.item(ctx, at)
	if err != nil {
		return "", err
	}
	return c.value(ctx, i, at)
}

// value picks a field or a file of an item.
func (c *server) value(ctx context.Context, i *item, at reference) (string, error) {
	index, err := i.findField(at)
	if err != nil {
		return "", err
	}
	if index < 0 {
		f := i.findFile(at)
		if f == nil || at.query != "" {
			return "", i.missing(at)
		}
		content, err := c.call(ctx, http.MethodGet, itemPath(i.Vault.ID, i.ID)+"/files/"+url.PathEscape(f.ID)+"/content", nil, nil, target{what: "file", at: at})
		return string(content), err
	}
	f := i.Fields[index]
	switch a := at.attribute(); {
	case at.query == "", a == "value":
		return f.Value, nil
	case at.otp() && f.TOTP != "":
		return f.TOTP, nil
	case at.otp():
		return "", &resolver.Error{Kind: resolver.InvalidReference, Message: "the field is no one-time password", Advice: "leave out ?attribute=otp, or name the field of the one-time password"}
	}
	return "", &resolver.Error{Kind: resolver.InvalidReference, Message: "a Connect server gives no such attribute", Advice: "the attributes are otp and value; others need auth = \"service_account\""}
}

// item finds an item with all its fields, decoded and as it came.
func (c *server) item(ctx context.Context, at reference) (*item, []byte, error) {
	v, err := c.vaultID(ctx, at)
	if err != nil {
		return nil, nil, err
	}
	if isID(at.item) {
		i, raw, err := c.itemByID(ctx, v, at.item, at)
		if resolver.KindOf(err) != resolver.NotFound {
			return i, raw, err
		} // else it may be a name that looks like an id
	}
	var found []item
	if _, err := c.get(ctx, "/v1/vaults/"+url.PathEscape(v)+"/items", filter("title", at.item), target{what: "item", at: at}, &found); err != nil {
		return nil, nil, err
	}
	id, err := one("item", at.item, found, func(i item) (string, string) { return i.Title, i.ID })
	if err != nil {
		return nil, nil, err
	}
	if id == "" {
		return nil, nil, noItem(at)
	}
	return c.itemByID(ctx, v, id, at)
}

func (c *server) itemByID(ctx context.Context, v, id string, at reference) (*item, []byte, error) {
	var i item
	raw, err := c.get(ctx, itemPath(v, id), nil, target{what: "item", at: at}, &i)
	if err != nil {
		return nil, nil, err
	}
	if i.ID != id {
		return nil, nil, notAnItem()
	}
	i.Vault.ID = v
	return &i, raw, nil
}

func (c *server) vaultID(ctx context.Context, at reference) (string, error) {
	if isID(at.vault) {
		return at.vault, nil
	}
	var found []vault
	if _, err := c.get(ctx, "/v1/vaults", filter("name", at.vault), target{what: "vault", at: at}, &found); err != nil {
		return "", err
	}
	id, err := one("vault", at.vault, found, func(v vault) (string, string) { return v.Name, v.ID })
	if err == nil && id == "" {
		err = &resolver.Error{Kind: resolver.NotFound, Message: "there is no vault " + quote(at.vault) + " that this token may read",
			Advice: "check the name, and that the Connect server and the token have been given the vault: op connect vault grant"}
	}
	return id, err
}

// filter asks for what has a name. A name that a filter's string cannot hold as it is (RFC 7644, section 3.4.2.2) is
// looked for among all there is.
func filter(attribute, name string) url.Values {
	if strings.ContainsAny(name, `"\`) {
		return nil
	}
	return url.Values{"filter": {attribute + ` eq "` + name + `"`}}
}

// one is the id of the one thing with a name, "" when there is none. References do not tell case apart, but a name in
// the very same case goes before others.
func one[T any](what, name string, all []T, of func(T) (title, id string)) (string, error) {
	for _, same := range []func(string) bool{
		func(t string) bool { return t == name },
		func(t string) bool { return strings.EqualFold(t, name) },
	} {
		var ids []string
		for _, x := range all {
			if title, id := of(x); same(title) && id != "" {
				ids = append(ids, id)
			}
		}
		switch slices.Sort(ids); len(slices.Compact(ids)) {
		case 0:
		case 1:
			return ids[0], nil
		default:
			return "", ambiguous(what, name, len(ids))
		}
	}
	return "", nil
}

func itemPath(vault, item string) string {
	return "/v1/vaults/" + url.PathEscape(vault) + "/items/" + url.PathEscape(item)
}

// batch fetches each item once.
func (s *Store) batch(ctx context.Context, refs []resolver.Ref) []resolver.Outcome {
	out := make([]resolver.Outcome, len(refs))
	ats := make([]reference, len(refs))
	items := make([]resolver.Ref, len(refs))
	for n, ref := range refs {
		ats[n], out[n].Err = parse(ref.ID)
		items[n].ID = ats[n].vault + "/" + ats[n].item
	}
	got := resolver.Wave(ctx, items, resolver.DefaultLimit, func(ctx context.Context, place resolver.Ref) (resolver.Result, error) {
		ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
		defer cancel()
		vault, name, _ := strings.Cut(place.ID, "/")
		if vault == "" {
			return resolver.Result{}, nil // of a reference that has its error already
		}
		i, _, err := s.connect.item(ctx, reference{vault: vault, item: name})
		if err != nil {
			return resolver.Result{}, err
		}
		text, _ := json.Marshal(i)
		return resolver.Result{Secret: resolver.NewSecret(string(text))}, nil
	}, resolver.Field)
	for n, ref := range refs {
		if out[n].Err == nil {
			out[n] = s.part(ctx, got[n], ats[n], ref.Field)
		}
	}
	return out
}

// part takes one value from an item of a batch.
func (s *Store) part(ctx context.Context, got resolver.Outcome, at reference, member string) (out resolver.Outcome) {
	if got.Err != nil {
		return got
	}
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	var i item
	_ = json.Unmarshal([]byte(got.Result.Secret.Reveal()), &i) // it was made from one
	value, err := s.connect.value(ctx, &i, at)
	if err != nil {
		out.Err = err
		return out
	}
	out.Result, out.Err = resolver.PickField(s.result(at, value), member, resolver.Field)
	return out
}

func loopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
