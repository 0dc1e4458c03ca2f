package gcpsm

import (
	"fmt"
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
// a secret of at most 255 characters, a version by number or alias. They are read by hand: compiling expressions of such
// lengths would take longer, in every run, than all else that starts.
// https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets
const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	digits = "0123456789"
	word   = lower + "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + digits + "_-"
)

func isProject(s string) bool {
	domain, id, scoped := strings.Cut(s, ":")
	if !scoped {
		id = s
	}
	return (!scoped || madeOf(domain, lower+digits+".-", 255)) && madeOf(id, lower+digits+"-", 63) && id[0] != '-'
}

func isLocation(s string) bool {
	return madeOf(s, lower+digits+"-", 63) && strings.Contains(lower, s[:1])
}
func isSecret(s string) bool  { return madeOf(s, word, 255) }
func isVersion(s string) bool { return madeOf(s, word, 63) }

// madeOf: one to most of these characters.
func madeOf(s, chars string, most int) bool {
	return s != "" && len(s) <= most && strings.Trim(s, chars) == ""
}

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
	case n.location != "" && !isLocation(n.location):
		return n, invalid(fmt.Sprintf("%q is not a location", cut(n.location)), "check the path: projects/PROJECT/locations/LOCATION/secrets/NAME")
	case !isSecret(n.secret):
		return n, invalid(fmt.Sprintf("%q is not the name of a secret", cut(n.secret)), `names have letters, digits, "_" and "-" only, at most 255`)
	case !isVersion(n.version):
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
