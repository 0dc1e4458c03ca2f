package gcpsm

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"kz/resolver"
)

// name says which version of which secret. Its parts are plain: they can stand in a path, and the location in a host name.
type name struct {
	project, location, secret, version string
}

// parent is the project, or a location in it.
func (n name) parent() string {
	if n.location != "" {
		return "projects/" + n.project + "/locations/" + n.location
	}
	return "projects/" + n.project
}

func (n name) secretPath() string  { return n.parent() + "/secrets/" + n.secret }
func (n name) versionPath() string { return n.secretPath() + "/versions/" + n.version }

// host is where Google keeps it; regional secrets have an endpoint of their own.
// https://cloud.google.com/secret-manager/regional-secrets/create-regional-secret
func (n name) host() string {
	if n.location != "" {
		return "secretmanager." + n.location + ".rep.googleapis.com"
	}
	return "secretmanager.googleapis.com"
}

// gcloud is the end of a gcloud command: the secret, its project and its location.
func (n name) gcloud() string {
	text := n.secret + " --project=" + n.project
	if n.location != "" {
		text += " --location=" + n.location
	}
	return text
}

// The forms that Google gives: a project by id (some with an organisation's domain before it) or number, a location,
// a secret of at most 255 characters, a version by number or alias.
// https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets
var (
	projectForm  = regexp.MustCompile(`^([a-z0-9.-]{1,255}:)?[a-z0-9][a-z0-9-]{0,62}$`)
	locationForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)
	secretForm   = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,255}$`)
	versionForm  = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,63}$`)
)

func isProject(s string) bool { return projectForm.MatchString(s) }

const latest = "latest"

// parseName reads a reference; the project of a short name stays empty.
func parseName(ref resolver.Ref) (name, error) {
	n := name{version: latest}
	parts := strings.Split(ref.ID, "/")
	if ref.ID == "" {
		return n, invalid("no secret is named", `write secret_id = "NAME", or the full path projects/PROJECT/secrets/NAME`)
	}
	if len(parts) == 1 {
		n.secret = parts[0]
	} else {
		ok := take(&parts, "projects", &n.project)
		_ = take(&parts, "locations", &n.location)
		ok = take(&parts, "secrets", &n.secret) && ok
		named := take(&parts, "versions", &n.version)
		if !ok || len(parts) != 0 {
			return n, invalid(fmt.Sprintf("%q is neither a name nor a full path", cut(ref.ID)),
				`names have letters, digits, "_" and "-" only (for kind, write secret_name_template = "{orgId}-{kind}" in the backend); a path is projects/PROJECT/secrets/NAME, with /versions/N after it for a version`)
		}
		if named && ref.Version > 0 && n.version != strconv.Itoa(ref.Version) {
			return n, invalid("the path and `version` name two versions", "leave one of them out")
		}
	}
	switch {
	case n.project != "" && !isProject(n.project):
		return n, invalid(fmt.Sprintf("%q is not the id of a project", cut(n.project)), "check the path: projects/PROJECT/secrets/NAME")
	case n.location != "" && !locationForm.MatchString(n.location):
		return n, invalid(fmt.Sprintf("%q is not a location", cut(n.location)), "check the path: projects/PROJECT/locations/LOCATION/secrets/NAME")
	case !secretForm.MatchString(n.secret):
		return n, invalid(fmt.Sprintf("%q is not the name of a secret", cut(n.secret)), `names have letters, digits, "_" and "-" only, at most 255`)
	case !versionForm.MatchString(n.version):
		return n, invalid(fmt.Sprintf("%q is not a version", cut(n.version)), "a version is a number, latest, or an alias")
	}
	if ref.Version > 0 {
		n.version = strconv.Itoa(ref.Version)
	}
	return n, nil
}

// take takes a collection and what it names off the front of a path.
func take(parts *[]string, collection string, into *string) bool {
	p := *parts
	if len(p) < 2 || p[0] != collection || p[1] == "" {
		return false
	}
	*into, *parts = p[1], p[2:]
	return true
}

// cut keeps a message to a line.
func cut(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

func invalid(message, advice string) *resolver.Error {
	return &resolver.Error{Kind: resolver.InvalidReference, Message: message, Advice: advice}
}
