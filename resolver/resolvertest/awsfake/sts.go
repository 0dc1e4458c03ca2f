package awsfake

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const stsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"

type stsResult struct {
	Credentials     *stsCredentials `xml:",omitempty"`
	AssumedRoleUser *stsUser        `xml:",omitempty"`
	Account         string          `xml:",omitempty"`
	Arn             string          `xml:",omitempty"`
	UserID          string          `xml:"UserId,omitempty"`
}

type stsCredentials struct {
	AccessKeyID     string `xml:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      string
}

type stsUser struct {
	AssumedRoleID string `xml:"AssumedRoleId"`
	Arn           string
}

// sessionName is the pattern that the API gives for it.
var sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

// SetWebIdentityToken changes the token that AssumeRoleWithWebIdentity accepts, as a cluster does once in a while.
func (s *Server) SetWebIdentityToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opt.WebIdentityToken = token
}

func (s *Server) sts(c *call) (any, *fault) {
	form, err := url.ParseQuery(string(c.body))
	if err != nil {
		return nil, &fault{status: 400, code: "MalformedQueryString", message: "The query string is malformed."}
	}
	switch c.op {
	case "GetCallerIdentity":
		arn := c.key.ARN
		if arn == "" {
			arn = "arn:aws:iam::" + s.opt.AccountID + ":user/test"
		}
		return stsResult{Account: s.opt.AccountID, Arn: arn, UserID: c.key.AccessKeyID}, nil
	case "AssumeRole":
		s.mu.Lock()
		external := s.opt.ExternalID
		s.mu.Unlock()
		if external != "" && form.Get("ExternalId") != external {
			return nil, &fault{status: 403, code: "AccessDenied", message: "User is not authorized to perform: sts:AssumeRole"}
		}
		return s.assume(form)
	case "AssumeRoleWithWebIdentity":
		s.mu.Lock()
		token := s.opt.WebIdentityToken
		s.mu.Unlock()
		if token == "" || form.Get("WebIdentityToken") != token {
			return nil, &fault{status: 400, code: "InvalidIdentityToken", message: "The web identity token could not be validated."}
		}
		return s.assume(form)
	}
	return nil, &fault{status: 400, code: "InvalidAction", message: "Could not find operation."}
}

// assume makes a temporary key, accepted until it expires.
func (s *Server) assume(form url.Values) (any, *fault) {
	account, role, ok := strings.Cut(form.Get("RoleArn"), ":role/")
	session := form.Get("RoleSessionName")
	if !ok || !sessionName.MatchString(session) {
		return nil, &fault{status: 400, code: "ValidationError", message: "RoleArn and RoleSessionName are required, and must satisfy their patterns."}
	}
	if policy := form.Get("Policy"); policy != "" && !json.Valid([]byte(policy)) {
		return nil, &fault{status: 400, code: "MalformedPolicyDocument", message: "Syntax errors in policy."}
	}
	seconds := 3600
	if d := form.Get("DurationSeconds"); d != "" {
		n, err := strconv.Atoi(d)
		if err != nil || n < 900 || n > 43200 {
			return nil, &fault{status: 400, code: "ValidationError", message: "DurationSeconds must be between 900 and 43200."}
		}
		seconds = n
	}
	arn := strings.Replace(account, ":iam:", ":sts:", 1) + ":assumed-role/" + role + "/" + session
	key := s.mint(arn, time.Duration(seconds)*time.Second)
	return stsResult{
		Credentials: &stsCredentials{
			AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey, SessionToken: key.SessionToken,
			Expiration: key.Expires.UTC().Format(time.RFC3339),
		},
		AssumedRoleUser: &stsUser{AssumedRoleID: "AROAEXAMPLE:" + session, Arn: arn},
	}, nil
}

func (s *Server) mint(arn string, life time.Duration) Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	key := Key{
		AccessKeyID:     "ASIA" + pad12(s.serial),
		SecretAccessKey: "temporary-secret-access-key-" + pad12(s.serial),
		SessionToken:    "temporary-session-token-" + pad12(s.serial),
		Expires:         s.opt.Now().Add(life),
		ARN:             arn,
	}
	s.keys[key.AccessKeyID] = key
	return key
}

// containerCredentials is the endpoint of ECS and EKS pod identity.
func (s *Server) containerCredentials(w http.ResponseWriter, r *http.Request) {
	c := &call{op: "ContainerCredentials", header: r.Header.Clone()}
	if r.Header.Get("Authorization") != s.opt.ContainerToken {
		s.record(c, http.StatusUnauthorized, "")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	s.record(c, http.StatusOK, "")
	key := s.mint("arn:aws:sts::"+s.opt.AccountID+":assumed-role/pod/session", time.Hour)
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]string{
		"AccessKeyId": key.AccessKeyID, "SecretAccessKey": key.SecretAccessKey, "Token": key.SessionToken,
		"Expiration": key.Expires.UTC().Format(time.RFC3339),
	})
}

func writeXML(w http.ResponseWriter, op string, result any, f *fault) {
	w.Header().Set("Content-Type", "text/xml")
	if f == nil {
		body, err := xml.Marshal(result)
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		inner := strings.ReplaceAll(string(body), "stsResult>", op+"Result>")
		fmt.Fprintf(w, `<%sResponse xmlns=%q>%s</%sResponse>`, op, stsNamespace, inner, op)
		return
	}
	w.WriteHeader(f.status)
	if f.raw != nil {
		w.Write(f.raw)
		return
	}
	body, _ := xml.Marshal(struct {
		XMLName xml.Name `xml:"Error"`
		Type    string
		Code    string
		Message string
	}{Type: "Sender", Code: f.code, Message: f.message})
	fmt.Fprintf(w, `<ErrorResponse xmlns=%q>%s</ErrorResponse>`, stsNamespace, body)
}
