//go:build unix

package onepassword_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	sdk "github.com/1Password/connect-sdk-go/onepassword"

	"kz/resolver"
	"kz/resolver/onepassword"
	"kz/resolver/resolvertest"
)

const (
	connectToken = "eyJ.canary-connect-token.sig"
	vaultID      = "vvvvvvvvvvvvvvvvvvvvvvvvvv"
)

// fakeConnect is a Connect server over the vendor's own types of items. It is strict about methods, paths, queries,
// headers and bodies. Each refusal repeats the request's credential and a value, which kz must not.
type fakeConnect struct {
	t   *testing.T
	url string

	mu       sync.Mutex
	vaults   []sdk.Vault
	items    []*sdk.Item
	contents map[string]string // of files
	denied   map[string]bool   // items
	status   int               // of every answer; 0: as it comes
	seen     []string          // methods and paths
}

func newConnect(t *testing.T) *fakeConnect {
	t.Helper()
	f := &fakeConnect{t: t, vaults: []sdk.Vault{{ID: vaultID, Name: "Team Secrets", Type: sdk.UserCreatedVault}}, contents: map[string]string{}, denied: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/vaults", f.listVaults)
	mux.HandleFunc("GET /v1/vaults/{vault}/items", f.listItems)
	mux.HandleFunc("POST /v1/vaults/{vault}/items", f.create)
	mux.HandleFunc("GET /v1/vaults/{vault}/items/{item}", f.withItem(func(w http.ResponseWriter, _ *http.Request, i *sdk.Item) { answer(w, i) }))
	mux.HandleFunc("PATCH /v1/vaults/{vault}/items/{item}", f.withItem(f.patch))
	mux.HandleFunc("PUT /v1/vaults/{vault}/items/{item}", f.withItem(f.replace))
	mux.HandleFunc("GET /v1/vaults/{vault}/items/{item}/files/{file}/content", f.withItem(f.content))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s is no request of Connect's", r.Method, r.URL.Path)
	})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.seen = append(f.seen, r.Method+" "+r.URL.Path)
		if got := r.Header.Get("Authorization"); got != "Bearer "+connectToken {
			f.refuse(w, r, 401)
			return
		}
		if body := r.Header.Get("Content-Type") == "application/json"; body != (r.ContentLength > 0) {
			t.Errorf("%s %s: a body of %d bytes as %q", r.Method, r.URL.Path, r.ContentLength, r.Header.Get("Content-Type"))
		}
		if f.status != 0 {
			f.refuse(w, r, f.status)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	f.url = srv.URL
	return f
}

func (f *fakeConnect) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

func (f *fakeConnect) refuse(w http.ResponseWriter, r *http.Request, status int) {
	if status/100 == 3 {
		w.Header().Set("Location", f.url+"/elsewhere")
	}
	w.WriteHeader(status)
	answer(w, sdk.Error{StatusCode: status, Message: r.Header.Get("Authorization") + resolvertest.Canary})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

var filterForm = regexp.MustCompile(`^(name|title) eq "([^"\\]*)"$`)

// filtered is the name that a list is asked for; ok is false for all.
func (f *fakeConnect) filtered(r *http.Request, attribute string) (name string, ok bool) {
	q := r.URL.Query()
	for key := range q {
		if key != "filter" || len(q[key]) != 1 {
			f.t.Errorf("the query %q", r.URL.RawQuery)
		}
	}
	if !q.Has("filter") {
		return "", false
	}
	m := filterForm.FindStringSubmatch(q.Get("filter"))
	if m == nil || m[1] != attribute {
		f.t.Errorf("the filter %q", q.Get("filter"))
		return "", true
	}
	return m[2], true
}

func (f *fakeConnect) listVaults(w http.ResponseWriter, r *http.Request) {
	name, ok := f.filtered(r, "name")
	found := []sdk.Vault{}
	for _, v := range f.vaults {
		if !ok || strings.EqualFold(v.Name, name) {
			found = append(found, v)
		}
	}
	answer(w, found)
}

// listItems gives items without what is in them, as Connect does.
func (f *fakeConnect) listItems(w http.ResponseWriter, r *http.Request) {
	title, ok := f.filtered(r, "title")
	found := []sdk.Item{}
	for _, i := range f.items {
		if i.Vault.ID == r.PathValue("vault") && (!ok || strings.EqualFold(i.Title, title)) {
			found = append(found, sdk.Item{ID: i.ID, Title: i.Title, Vault: i.Vault, Category: i.Category})
		}
	}
	answer(w, found)
}

func (f *fakeConnect) withItem(do func(http.ResponseWriter, *http.Request, *sdk.Item)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			f.t.Errorf("the query %q", r.URL.RawQuery)
		}
		at := slices.IndexFunc(f.items, func(i *sdk.Item) bool {
			return i.ID == r.PathValue("item") && i.Vault.ID == r.PathValue("vault")
		})
		switch {
		case at < 0:
			f.refuse(w, r, 404)
		case f.denied[f.items[at].ID]:
			f.refuse(w, r, 403)
		default:
			do(w, r, f.items[at])
		}
	}
}

func (f *fakeConnect) content(w http.ResponseWriter, r *http.Request, i *sdk.Item) {
	if !slices.ContainsFunc(i.Files, func(file *sdk.File) bool { return file.ID == r.PathValue("file") }) {
		f.refuse(w, r, 404)
		return
	}
	_, _ = io.WriteString(w, f.contents[r.PathValue("file")])
}

func (f *fakeConnect) patch(w http.ResponseWriter, r *http.Request, i *sdk.Item) {
	var ops []struct{ Op, Path, Value string }
	if err := json.NewDecoder(r.Body).Decode(&ops); err != nil || len(ops) != 1 || ops[0].Op != "replace" {
		f.t.Errorf("the patch %v %v", ops, err)
		return
	}
	for _, field := range i.Fields {
		if ops[0].Path == "/fields/"+field.ID+"/value" {
			field.Value = ops[0].Value
			answer(w, i)
			return
		}
	}
	f.refuse(w, r, 400)
}

// take reads an item that is sent whole, and checks what Connect would.
func (f *fakeConnect) take(r *http.Request) *sdk.Item {
	var i sdk.Item
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&i); err != nil || i.Title == "" || i.Category != sdk.ApiCredential || i.Vault.ID != r.PathValue("vault") {
		f.t.Errorf("the item %+v %v", i, err)
	}
	for n, field := range i.Fields {
		if field.ID == "" {
			field.ID = fmt.Sprintf("new-%d", n)
		}
		if field.Section != nil && !slices.ContainsFunc(i.Sections, func(s *sdk.ItemSection) bool { return s.ID == field.Section.ID }) {
			f.t.Errorf("the field %q is in a section that is not there", field.Label)
		}
	}
	return &i
}

func (f *fakeConnect) create(w http.ResponseWriter, r *http.Request) {
	i := f.take(r)
	if i.ID != "" {
		f.t.Errorf("a new item has the id %q", i.ID)
	}
	i.ID = fmt.Sprintf("created%019d", len(f.items))
	f.items = append(f.items, i)
	answer(w, i)
}

func (f *fakeConnect) replace(w http.ResponseWriter, r *http.Request, old *sdk.Item) {
	i := f.take(r)
	if i.ID != old.ID {
		f.t.Errorf("the item %q in place of %q", i.ID, old.ID)
	}
	*old = *i
	answer(w, i)
}

// add has an item, without others of its title.
func (f *fakeConnect) add(i *sdk.Item) {
	f.change(func() {
		f.items = slices.DeleteFunc(f.items, func(old *sdk.Item) bool { return old.ID == i.ID })
		f.items = append(f.items, i)
	})
}

func connectItem(title string, fields ...*sdk.ItemField) *sdk.Item {
	return &sdk.Item{ID: opItem(title)["id"].(string), Title: title, Category: sdk.ApiCredential, Vault: sdk.ItemVault{ID: vaultID}, Fields: fields}
}

func connectField(label, value string) *sdk.ItemField {
	return &sdk.ItemField{ID: "f-" + label, Type: sdk.FieldTypeConcealed, Label: label, Value: value}
}

func (f *fakeConnect) open(t *testing.T, change func(*onepassword.Options)) *onepassword.Store {
	t.Helper()
	return openConnect(t, f.url, change)
}

func openConnect(t *testing.T, host string, change func(*onepassword.Options)) *onepassword.Store {
	t.Helper()
	o := onepassword.Options{Auth: onepassword.Connect, ConnectHost: host, Token: resolver.NewSecret(connectToken), Environ: []string{}}
	if change != nil {
		change(&o)
	}
	return open(t, o)
}

// nobody is an address at which nothing listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// mute is a server that takes requests and never answers.
func mute(t *testing.T) string {
	t.Helper()
	gone := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-gone:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(gone) })
	return srv.URL
}
