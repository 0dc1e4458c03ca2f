package origin

import (
	"maps"
	"net/http"
	"sync"
	"time"
)

// settings are what tests change while the origin runs.
type settings struct {
	mu       sync.Mutex
	values   map[string][]byte
	user     string
	password string
	bearer   string
	scripts  map[string]Script
	failures map[string]int
	files    map[string]File
}

func (s *settings) init() {
	s.values = map[string][]byte{}
	s.scripts = maps.Clone(scripts)
	s.failures = map[string]int{}
	s.files = map[string]File{}
}

// SetValue stores what handlers insert where a request says value=NAME.
func (o *Origin) SetValue(name string, value []byte) {
	o.settings.mu.Lock()
	defer o.settings.mu.Unlock()
	o.settings.values[name] = value
}

// SetBasic sets the credentials that /basic and git.test ask for. An empty user
// lets any user in; an empty password, nobody.
func (o *Origin) SetBasic(user, password string) {
	o.settings.mu.Lock()
	defer o.settings.mu.Unlock()
	o.settings.user, o.settings.password = user, password
}

// SetBearer sets the token that /bearer asks for.
func (o *Origin) SetBearer(token string) {
	o.settings.mu.Lock()
	defer o.settings.mu.Unlock()
	o.settings.bearer = token
}

// Script is what the raw listener answers, byte for byte.
type Script struct {
	Answer []byte        // sent once the request's head has been read
	Pause  time.Duration // before each Split and before the end
	Split  int           // send in writes of this many bytes; 0: one write
	End    End           // how the connection ends afterwards
}

// End is a way to end a connection.
type End string

// The ways a connection ends.
const (
	EndKeep  End = "keep"  // stays open: the next request gets its script too
	EndClose End = "close" // close_notify, then FIN: an orderly end
	EndFIN   End = "fin"   // FIN without close_notify: TLS truncation
	EndRST   End = "rst"   // RST
)

// SetRaw makes the raw listener answer requests for /NAME with s. Several are
// there from the start; see raw.go.
func (o *Origin) SetRaw(name string, s Script) {
	o.settings.mu.Lock()
	defer o.settings.mu.Unlock()
	o.settings.scripts[name] = s
}

// File is what is answered at one path, on every host.
type File struct {
	Type string // Content-Type
	Body []byte
	Auth string // the Authorization that a request must have, else 401; "": none
}

// SetFile has requests for a path, query aside, answered with a file, whatever else is there.
func (o *Origin) SetFile(path string, f File) {
	o.settings.mu.Lock()
	defer o.settings.mu.Unlock()
	o.settings.files[path] = f
}

// file answers with the file at a path, if there is one.
func (o *Origin) file(w http.ResponseWriter, r *http.Request) bool {
	o.settings.mu.Lock()
	f, found := o.settings.files[r.URL.Path]
	o.settings.mu.Unlock()
	if !found {
		return false
	}
	if f.Auth != "" && !equal(r.Header.Get("Authorization"), f.Auth) {
		w.Header().Set("WWW-Authenticate", `Basic realm="origin"`)
		http.Error(w, "credentials are wrong or missing", http.StatusUnauthorized)
		return true
	}
	w.Header().Set("Content-Type", f.Type)
	_, _ = w.Write(f.Body)
	return true
}
