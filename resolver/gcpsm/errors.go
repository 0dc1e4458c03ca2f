package gcpsm

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"kz/resolver"
)

// states are what the interface calls its errors, with gRPC's names for them and what they mean here.
// https://cloud.google.com/apis/design/errors
var states = map[string]struct {
	code string
	kind resolver.Kind
}{
	"INVALID_ARGUMENT":    {"InvalidArgument", resolver.InvalidReference},
	"OUT_OF_RANGE":        {"OutOfRange", resolver.InvalidReference},
	"UNIMPLEMENTED":       {"Unimplemented", resolver.InvalidReference},
	"ALREADY_EXISTS":      {"AlreadyExists", resolver.InvalidReference},
	"NOT_FOUND":           {"NotFound", resolver.NotFound},
	"FAILED_PRECONDITION": {"FailedPrecondition", resolver.NotFound}, // a disabled or destroyed version
	"PERMISSION_DENIED":   {"PermissionDenied", resolver.AccessDenied},
	"UNAUTHENTICATED":     {"Unauthenticated", resolver.AccessDenied},
	"RESOURCE_EXHAUSTED":  {"ResourceExhausted", resolver.Throttled},
	"DEADLINE_EXCEEDED":   {"DeadlineExceeded", resolver.TimedOut},
	"ABORTED":             {"Aborted", resolver.Unavailable},
	"CANCELLED":           {"Canceled", resolver.Unavailable},
	"INTERNAL":            {"Internal", resolver.Unavailable},
	"UNAVAILABLE":         {"Unavailable", resolver.Unavailable},
	"UNKNOWN":             {"Unknown", resolver.Unavailable},
	"DATA_LOSS":           {"DataLoss", resolver.Unavailable},
}

// reasons of PERMISSION_DENIED that are not a missing permission, with what helps.
// https://cloud.google.com/go/docs/reference/cloud.google.com/go/latest/apierror
var reasons = map[string]struct{ message, advice string }{
	"SERVICE_DISABLED":         {"Secret Manager is not enabled in the project", "enable it: gcloud services enable secretmanager.googleapis.com --project=$PROJECT"},
	"BILLING_DISABLED":         {"the project has no billing account", "link one to it: gcloud billing projects link $PROJECT --billing-account=…"},
	"CONSUMER_INVALID":         {"there is no such project, or the credentials may not use it", "check the project: gcloud projects describe $PROJECT"},
	"USER_PROJECT_DENIED":      {"the credentials may not use the quota project", "allow serviceusage.services.use on it (roles/serviceusage.serviceUsageConsumer), or set GOOGLE_CLOUD_QUOTA_PROJECT to another"},
	"SECURITY_POLICY_VIOLATED": {"an organisation's perimeter forbids it", "ask who runs VPC Service Controls there"},
}

// mayNotList is what Check does not count as a failure.
const mayNotList = "the credentials may not list the secrets"

// errorAnswer is what the interface sends for a failure. Its text is not shown.
type errorAnswer struct {
	Error *struct {
		Status  string
		Message string
		Details []struct{ Reason string }
	}
}

func notGoogle(status int) *resolver.Error {
	return &resolver.Error{Kind: resolver.Unavailable, Status: status, Message: "the answer is not one of Secret Manager",
		Advice: "try again; check the endpoint, and any proxy in between"}
}

// explain makes an error of this module from an answer. final says that the call need not be made again.
func (s *Store) explain(status int, body []byte, c call) (e *resolver.Error, final bool) {
	var answer errorAnswer
	if json.Unmarshal(body, &answer) != nil || answer.Error == nil || states[answer.Error.Status].kind == "" {
		e = notGoogle(status)
		switch {
		case status == http.StatusUnauthorized, status == http.StatusForbidden:
			e.Kind = resolver.AccessDenied
		case status == http.StatusTooManyRequests:
			e.Kind = resolver.Throttled
		}
		return e, status < 500 && e.Kind == resolver.Unavailable
	}
	state := states[answer.Error.Status]
	e = &resolver.Error{Kind: state.kind, Status: status, Code: state.code}
	n := c.name
	switch state.code {
	case "PermissionDenied":
		for _, d := range answer.Error.Details {
			if r, ok := reasons[d.Reason]; ok {
				e.Message, e.Advice = r.message, strings.ReplaceAll(r.advice, "$PROJECT", n.project)
				return e, true
			}
		}
		e.Message, e.Advice = permission(c)
	case "Unauthenticated":
		e.Message, e.Advice = "Secret Manager does not accept the token", s.login.advice()
	case "NotFound":
		e.Message = fmt.Sprintf("there is no secret %q in the project %s, or it has no version %s", n.secret, n.project, n.version)
		e.Advice = "see what is there: gcloud secrets versions list " + n.gcloud()
		if n.secret == "" {
			e.Message, e.Advice = "there is no project "+n.project, "check `project`: gcloud projects describe "+n.project
		}
	case "FailedPrecondition":
		// One of a key that cannot be used reads: "Cloud KMS key … is disabled".
		if text := strings.ToLower(answer.Error.Message); strings.Contains(text, "kms") || strings.Contains(text, "cryptokey") {
			e.Kind, e.Message = resolver.DecryptionFailed, fmt.Sprintf("the key that encrypts %q cannot be used", n.secret)
			e.Advice = "check that the key is enabled, and that Secret Manager's service agent has roles/cloudkms.cryptoKeyEncrypterDecrypter on it: gcloud secrets describe " + n.gcloud()
			break
		}
		e.Message = fmt.Sprintf("version %s of %q is disabled or destroyed", n.version, n.secret)
		e.Advice = "enable it (gcloud secrets versions enable N --secret=NAME), add another, or name one with `version`: gcloud secrets versions list " + n.gcloud()
	case "ResourceExhausted":
		e.Advice = "wait a little and try again; a longer `ttl` asks less often"
	default:
		e.Advice = "try again; check any proxy in between"
		if e.Kind == resolver.InvalidReference {
			e.Message, e.Advice = "Secret Manager refuses the reference", "check it, and its version: gcloud secrets describe "+n.gcloud()
		}
	}
	return e, false
}

// permission names what a call needs.
func permission(c call) (message, advice string) {
	n := c.name
	grant := "gcloud secrets add-iam-policy-binding " + n.gcloud() + " --member=… --role="
	switch {
	case n.secret == "":
		return mayNotList, "give them roles/secretmanager.viewer, or name a secret that they may read"
	case strings.HasSuffix(c.path, ":access"):
		return fmt.Sprintf("the credentials may not read %q, or there is no such secret", n.secret),
			"allow secretmanager.versions.access on it: " + grant + "roles/secretmanager.secretAccessor"
	case strings.HasSuffix(c.path, ":addVersion"):
		return fmt.Sprintf("the credentials may not write %q", n.secret),
			"allow secretmanager.versions.add on it: " + grant + "roles/secretmanager.secretVersionAdder"
	}
	return fmt.Sprintf("there is no secret %q, and the credentials may not make it", n.secret),
		"make it (gcloud secrets create " + n.gcloud() + "), or allow secretmanager.secrets.create on the project: roles/secretmanager.admin"
}
