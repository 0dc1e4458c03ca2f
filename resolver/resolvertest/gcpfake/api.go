package gcpfake

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// ServeHTTP plays all of them; the path tells which.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Clone(r.Context()))
	s.mu.Unlock()
	switch {
	case r.URL.Path == "/token":
		s.token(w, r)
	case strings.HasPrefix(r.URL.Path, "/computeMetadata/"):
		s.metadata(w, r)
	case strings.HasPrefix(r.URL.Path, "/v1/"):
		s.api(w, r)
	default:
		http.NotFound(w, r)
	}
}

var route = regexp.MustCompile(`^/v1/(projects/([^/]+)(?:/locations/([^/]+))?)/secrets(?:/([^/:]+)(?:/versions/([^/:]+))?(?::(access|addVersion))?)?$`)

// api is Secret Manager.
func (s *Server) api(w http.ResponseWriter, r *http.Request) {
	m := route.FindStringSubmatch(r.URL.EscapedPath())
	if m == nil {
		http.NotFound(w, r)
		return
	}
	parent, location, id, number, verb := m[1], m[3], m[4], m[5], m[6]
	method := map[string]string{"GET access": "AccessSecretVersion", "POST addVersion": "AddSecretVersion", "POST ": "CreateSecret", "GET ": "ListSecrets"}[r.Method+" "+verb]
	if f := s.failure(method, id); f != nil && !f.Damage {
		fail(w, r, f)
		return
	} else if f != nil {
		defer func(real http.ResponseWriter) { damage(real, w.(*record)) }(w)
		w = &record{header: http.Header{}}
	}
	if status, code, why := s.admit(r, location); status != 0 {
		refuse(w, r, status, code, why, "")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.secrets[parent+"/secrets/"+id]
	switch {
	case method == "ListSecrets" && id == "":
		if query(r) != "pageSize=1" {
			refuse(w, r, 400, "INVALID_ARGUMENT", "the query", "")
			return
		}
		reply(w, map[string]any{"totalSize": len(s.secrets)})
	case method == "CreateSecret" && id == "":
		s.create(w, r, parent, location)
	case method == "AccessSecretVersion" && number != "":
		access(w, r, found, parent+"/secrets/"+id, number)
	case method == "AddSecretVersion" && number == "":
		add(w, r, found, parent+"/secrets/"+id)
	default:
		http.NotFound(w, r)
	}
}

// admit checks the token, the host and the project that is charged.
func (s *Server) admit(r *http.Request, location string) (status int, code, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	g, known := s.tokens[token]
	host := "secretmanager.googleapis.com"
	if location != "" {
		host = "secretmanager." + location + ".rep.googleapis.com"
	}
	switch {
	case !bearer || !known || time.Now().After(g.ends):
		return 401, "UNAUTHENTICATED", "Request had invalid authentication credentials."
	case strings.HasSuffix(r.Host, "googleapis.com") && (r.Host != host || r.TLS == nil):
		return 404, "NOT_FOUND", "it is not at " + r.Host
	case g.quota && r.Header.Get("X-Goog-User-Project") != QuotaProject:
		return 403, "PERMISSION_DENIED", "a quota project is required"
	case !g.quota && r.Header.Get("X-Goog-User-Project") != "":
		return 403, "PERMISSION_DENIED", "that project may not be charged"
	}
	return 0, "", ""
}

func access(w http.ResponseWriter, r *http.Request, found *secret, path, number string) {
	if found == nil || len(found.versions) == 0 {
		refuse(w, r, 404, "NOT_FOUND", "Secret ["+path+"] not found or has no versions.", "")
		return
	}
	n := len(found.versions)
	if number != "latest" {
		var err error
		if n, err = strconv.Atoi(number); err != nil || n < 1 || n > len(found.versions) {
			refuse(w, r, 404, "NOT_FOUND", "Secret Version ["+path+"/versions/"+number+"] not found.", "")
			return
		}
	}
	v := found.versions[n-1]
	if v.state != "ENABLED" {
		refuse(w, r, 400, "FAILED_PRECONDITION", "Secret Version ["+path+"] is in "+v.state+" state.", "")
		return
	}
	payload := map[string]string{"dataCrc32c": checksum(v.data)}
	if len(v.data) > 0 { // an empty one is left out, as in all of Google's JSON
		payload["data"] = base64.StdEncoding.EncodeToString(v.data)
	}
	reply(w, map[string]any{"name": path + "/versions/" + strconv.Itoa(n), "payload": payload})
}

func add(w http.ResponseWriter, r *http.Request, found *secret, path string) {
	var body struct {
		Parent  string // Google's client says it here too
		Payload struct{ Data, DataCrc32c string }
	}
	err := decode(r, &body)
	if err == nil && body.Parent != "" && body.Parent != path {
		err = fmt.Errorf("the parent %q", body.Parent)
	}
	data, bad := base64.StdEncoding.DecodeString(body.Payload.Data)
	switch {
	case err != nil || bad != nil || len(data) > 64<<10:
		refuse(w, r, 400, "INVALID_ARGUMENT", "the payload", "")
	case body.Payload.DataCrc32c != checksum(data):
		refuse(w, r, 400, "INVALID_ARGUMENT", "the checksum", "")
	case found == nil:
		refuse(w, r, 404, "NOT_FOUND", "Secret ["+path+"] not found.", "")
	default:
		found.versions = append(found.versions, version{data, "ENABLED"})
		reply(w, map[string]any{"name": fmt.Sprintf("%s/versions/%d", path, len(found.versions)), "state": "ENABLED"})
	}
}

func (s *Server) create(w http.ResponseWriter, r *http.Request, parent, location string) {
	var body struct {
		Replication *struct{ Automatic *struct{} }
	}
	id := r.URL.Query().Get("secretId")
	automatic := decode(r, &body) == nil && body.Replication != nil && body.Replication.Automatic != nil
	switch path := parent + "/secrets/" + id; {
	case query(r) != "secretId="+id || id == "" || automatic == (location != ""):
		refuse(w, r, 400, "INVALID_ARGUMENT", "the secret", "")
	case s.secrets[path] != nil:
		refuse(w, r, 409, "ALREADY_EXISTS", "Secret ["+path+"] already exists.", "")
	default:
		s.secrets[path] = &secret{}
		reply(w, map[string]any{"name": path})
	}
}

// query is what a request has beside $alt, with which Google's client chooses how enums are written.
func query(r *http.Request) string {
	q := r.URL.Query()
	q.Del("$alt")
	return q.Encode()
}

func decode(r *http.Request, into any) error {
	if r.Header.Get("Content-Type") != "application/json" {
		return fmt.Errorf("the content type %q", r.Header.Get("Content-Type"))
	}
	d := json.NewDecoder(io.LimitReader(r.Body, 1<<20))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

func checksum(data []byte) string {
	return strconv.FormatInt(int64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))), 10)
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Write(mustJSON(v))
}

// refuse sends an error that repeats the token, as no error of ours may.
func refuse(w http.ResponseWriter, r *http.Request, status int, code, message, reason string) {
	body := map[string]any{"code": status, "status": code, "message": message + " (" + r.Header.Get("Authorization") + ")"}
	if reason != "" {
		body["details"] = []any{map[string]string{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}}
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	w.Write(mustJSON(map[string]any{"error": body}))
}

// failure counts a call and finds its failure.
func (s *Server) failure(method, id string) *Failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[method]++
	login := method == "token" || method == "metadata"
	for i, f := range s.failures {
		if f.Method != method && (f.Method != "" || login) || f.Secret != "" && f.Secret != id {
			continue
		}
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				s.failures = append(s.failures[:i:i], s.failures[i+1:]...)
			}
		}
		return f
	}
	return nil
}

func fail(w http.ResponseWriter, r *http.Request, f *Failure) {
	w.Header().Set("Retry-After", "3600")
	if f.HTTP == http.StatusTemporaryRedirect {
		w.Header().Set("Location", "https://"+Elsewhere+"/")
	}
	if f.Status != "" {
		refuse(w, r, f.HTTP, f.Status, f.Message, f.Reason)
		return
	}
	w.WriteHeader(f.HTTP)
	io.WriteString(w, strings.ReplaceAll(f.Body, "$TOKEN", r.Header.Get("Authorization")))
}

// record keeps an answer, to be changed.
type record struct {
	header http.Header
	body   []byte
}

func (r *record) Header() http.Header         { return r.header }
func (r *record) WriteHeader(int)             {}
func (r *record) Write(b []byte) (int, error) { r.body = append(r.body, b...); return len(b), nil }

// damage changes one byte of the payload on its way.
func damage(w http.ResponseWriter, r *record) {
	var body map[string]any
	if json.Unmarshal(r.body, &body) == nil {
		payload, _ := body["payload"].(map[string]any)
		data, _ := payload["data"].(string)
		if raw, err := base64.StdEncoding.DecodeString(data); err == nil && len(raw) > 0 {
			raw[0] ^= 1
			payload["data"] = base64.StdEncoding.EncodeToString(raw)
		}
	}
	reply(w, body)
}
