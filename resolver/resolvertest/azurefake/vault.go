package azurefake

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
)

var route = regexp.MustCompile(`^/secrets(?:/([0-9a-zA-Z-]{1,127})(?:/([0-9a-f]{32})?)?)?$`)

// vault is the interface of Key Vault.
// https://learn.microsoft.com/rest/api/keyvault/secrets
func (s *Server) vault(w http.ResponseWriter, r *http.Request) {
	m := route.FindStringSubmatch(r.URL.EscapedPath())
	if m == nil {
		reply(w, http.StatusBadRequest, errorBody("BadParameter", "", "the path"))
		return
	}
	name, version := m[1], m[2]
	// Key Vault asks for a token first, whatever is wanted.
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	valid := false
	s.change(func() { valid = bearer && time.Now().Before(s.tokens[token]) })
	method := map[string]string{"GET": "GetSecret", "PUT": "SetSecret"}[r.Method]
	if name == "" {
		method = "ListSecrets"
	}
	if !bearer {
		s.change(func() { s.calls["challenge"]++ })
	}
	if f := s.failure(method, name); f != nil && (bearer || f.Challenge != "") {
		fail(w, r, f)
		return
	}
	if !valid {
		w.Header().Set("WWW-Authenticate", `Bearer authorization="https://login.microsoftonline.com/`+Tenant+`", resource="`+resource+`"`)
		reply(w, http.StatusUnauthorized, errorBody("Unauthorized", "", "AKV10000: Request is missing a Bearer or PoP token. "+r.Header.Get("Authorization")))
		return
	}
	if !strings.HasPrefix(r.URL.RawQuery, "api-version=7") && !strings.HasPrefix(r.URL.RawQuery, "api-version=20") {
		reply(w, http.StatusBadRequest, errorBody("BadParameter", "", "the version of the interface"))
		return
	}
	s.change(func() {
		switch {
		case method == "ListSecrets" && r.Method == http.MethodGet:
			reply(w, http.StatusOK, map[string]any{"value": []any{}})
		case method == "GetSecret":
			s.get(w, name, version)
		case method == "SetSecret" && version == "":
			s.set(w, r, name, body)
		default:
			reply(w, http.StatusMethodNotAllowed, errorBody("BadParameter", "", "the method"))
		}
	})
}

func (s *Server) get(w http.ResponseWriter, name, version string) {
	found := s.secrets[name]
	if found == nil || found.deleted || len(found.versions) == 0 {
		reply(w, http.StatusNotFound, errorBody("SecretNotFound", "", "A secret with (name/id) "+name+" was not found in this key vault."))
		return
	}
	v := found.versions[len(found.versions)-1]
	if version != "" {
		v = Version{}
		for _, one := range found.versions {
			if one.ID == version {
				v = one
			}
		}
	}
	switch {
	case v.ID == "":
		reply(w, http.StatusNotFound, errorBody("SecretNotFound", "", "no such version"))
	case v.Disabled:
		reply(w, http.StatusForbidden, errorBody("Forbidden", "SecretDisabled", "Operation get is not allowed on a disabled secret."))
	default:
		reply(w, http.StatusOK, bundle(name, v))
	}
}

func (s *Server) set(w http.ResponseWriter, r *http.Request, name string, body []byte) {
	var in struct {
		Value       *string           `json:"value"`
		ContentType string            `json:"contentType"`
		Tags        map[string]string `json:"tags"`
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	switch err := d.Decode(&in); {
	case err != nil || in.Value == nil || len(*in.Value) > 25<<10 || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json"):
		reply(w, http.StatusBadRequest, errorBody("BadParameter", "", "the body "+string(body)))
	case s.secrets[name] != nil && s.secrets[name].deleted:
		reply(w, http.StatusConflict, errorBody("Conflict", "ObjectIsDeletedButRecoverable", "Secret "+name+" is currently in a deleted but recoverable state."))
	default:
		reply(w, http.StatusOK, bundle(name, s.put(name, Version{Value: *in.Value, ContentType: in.ContentType, Tags: in.Tags})))
	}
}

func bundle(name string, v Version) map[string]any {
	b := map[string]any{
		"id": VaultURL + "/secrets/" + name + "/" + v.ID, "value": v.Value,
		"attributes": map[string]any{"enabled": true, "created": 1700000000, "updated": 1700000000, "recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90},
	}
	if v.ContentType != "" {
		b["contentType"] = v.ContentType
	}
	if v.Tags != nil {
		b["tags"] = v.Tags
	}
	return b
}

func errorBody(code, inner, message string) map[string]any {
	e := map[string]any{"code": code, "message": message}
	if inner != "" {
		e["innererror"] = map[string]string{"code": inner}
	}
	return map[string]any{"error": e}
}
