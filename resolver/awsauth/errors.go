package awsauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/smithy-go"

	"kz/resolver"
)

// kinds are the codes that mean the same at every service; others are judged by their status.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html
var kinds = map[string]resolver.Kind{
	"AccessDeniedException":               resolver.AccessDenied,
	"AccessDenied":                        resolver.AccessDenied,
	"NotAuthorized":                       resolver.AccessDenied,
	"OptInRequired":                       resolver.AccessDenied,
	"UnrecognizedClientException":         resolver.AccessDenied,
	"InvalidClientTokenId":                resolver.AccessDenied,
	"InvalidSignatureException":           resolver.AccessDenied,
	"SignatureDoesNotMatch":               resolver.AccessDenied,
	"IncompleteSignature":                 resolver.AccessDenied,
	"MissingAuthenticationToken":          resolver.AccessDenied,
	"MissingAuthenticationTokenException": resolver.AccessDenied,
	"ExpiredToken":                        resolver.AccessDenied,
	"ExpiredTokenException":               resolver.AccessDenied,
	"RequestExpired":                      resolver.AccessDenied,
	"RequestTimeTooSkewed":                resolver.AccessDenied,
	"Throttling":                          resolver.Throttled,
	"ThrottlingException":                 resolver.Throttled,
	"ThrottledException":                  resolver.Throttled,
	"TooManyRequestsException":            resolver.Throttled,
	"RequestLimitExceeded":                resolver.Throttled,
	"ValidationException":                 resolver.InvalidReference,
	"ValidationError":                     resolver.InvalidReference,
	"InternalServiceError":                resolver.Unavailable,
	"InternalServerError":                 resolver.Unavailable,
	"InternalFailure":                     resolver.Unavailable,
	"ServiceUnavailable":                  resolver.Unavailable,
}

// Denied reports whether an error says that the credentials are good and lack a permission.
func Denied(err error) bool {
	var e *resolver.Error
	return errors.As(err, &e) && denied(e)
}

func denied(e *resolver.Error) bool {
	return e.Code == "AccessDeniedException" || e.Code == "AccessDenied"
}

// MentionsKMS reports whether a refusal is about the key and not about the
// secret: there is no code for it, only the message tells.
func MentionsKMS(err error) bool {
	return messageHas(err, "KMS", "kms:")
}

// messageHas reports whether the service's own text, which is not passed on, has one of these in it.
func messageHas(err error, any ...string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && slices.ContainsFunc(any, func(s string) bool { return strings.Contains(api.ErrorMessage(), s) })
}

// errorCode is the service's code for a failure, or "". Only letters are let
// through: that is what codes are made of, and tokens and values are not.
func errorCode(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return ""
	}
	code := api.ErrorCode()
	if code == "UnknownError" { // the SDK's own, for an answer that has none
		return ""
	}
	letters := func(r rune) bool { return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' }
	if len(code) > 64 || strings.TrimFunc(code, letters) != "" {
		return ""
	}
	return code
}

func httpStatus(err error) int {
	var response interface{ HTTPStatusCode() int }
	if !errors.As(err, &response) {
		return 0
	}
	return response.HTTPStatusCode()
}

// Explain makes an error of this module from what the SDK returned for a call.
// own are the codes of the service and their kinds. What all services have in
// common has its words; say adds those for NotFound, DecryptionFailed,
// InvalidReference and for Denied, and is called only when the service answered.
func (l *Login) Explain(ctx context.Context, err error, own map[string]resolver.Kind, say func(*resolver.Error)) *resolver.Error {
	e := l.explain(ctx, err, own, say)
	if strings.HasPrefix(e.Code, "ExpiredToken") {
		l.forget()
	}
	return e
}

func (l *Login) explain(ctx context.Context, err error, own map[string]resolver.Kind, say func(*resolver.Error)) *resolver.Error {
	var typed *resolver.Error
	switch {
	case ctx.Err() != nil:
		return resolver.Transport(ctx.Err())
	case errors.As(err, &typed): // from getting the credentials
		return typed
	}
	e := &resolver.Error{Status: httpStatus(err), Code: errorCode(err)}
	kind, known := own[e.Code]
	if !known {
		kind, known = kinds[e.Code]
	}
	switch {
	case known:
		e.Kind = kind
	case e.Status == http.StatusTooManyRequests:
		e.Kind = resolver.Throttled
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
		e.Kind = resolver.AccessDenied
	case e.Status >= 500, e.Status != 0 && e.Code == "":
		e.Kind = resolver.Unavailable
		if e.Code == "" {
			e.Message = "the answer is not one of " + l.opt.Service
		}
	case e.Code != "":
		e.Kind = resolver.InvalidReference
	default:
		e = resolver.Transport(err)
		if strings.Contains(e.Message, "unknown authority") {
			e.Advice += ", or name the file of its certificate in AWS_CA_BUNDLE"
		}
		return e
	}
	if errors.Is(err, errTooLong) {
		e.Message = fmt.Sprintf("the answer is longer than %d MiB", maxAnswer>>20)
	}
	common(e, err)
	say(e)
	l.whose(e)
	return e
}

// whose makes an advice true where the credentials are the backend's own, of which the AWS CLI knows nothing.
func (l *Login) whose(e *resolver.Error) {
	const user = "the user of access_key_id"
	asks, own := user, l.opt.AccessKeyID != "" // of Static, or what Role begins with
	switch {
	case l.opt.Auth == Role, l.opt.Auth == IRSA:
		if asks = "the role " + l.opt.RoleARN; l.opt.RoleARN == "" {
			asks = "the role that AWS_ROLE_ARN names"
		}
	case !own:
		return
	}
	e.Advice = strings.Replace(e.Advice, "who you are: "+who, "kz asks as "+asks, 1)
	if own {
		e.Advice = strings.Replace(e.Advice, "who you are ("+who+")", user, 1)
		e.Advice = strings.TrimSuffix(e.Advice, ": "+who)
	}
}

// who prints whose credentials the AWS CLI, and with the default chain kz, uses.
const who = "aws sts get-caller-identity"

// common says what is the same at every service.
func common(e *resolver.Error, err error) {
	switch e.Kind {
	case resolver.AccessDenied:
		e.Message, e.Advice = "the store does not accept the credentials", "check them, the region and this machine's clock: "+who
		switch e.Code {
		case "ExpiredToken", "ExpiredTokenException":
			e.Message += ": they have expired"
			e.Advice = "log in again (aws sso login), or set a new AWS_SESSION_TOKEN; which credentials are used: aws configure list, " + who
		case "UnrecognizedClientException", "InvalidClientTokenId":
			e.Message += ": the access key is not known there"
			e.Advice = "check that the key is active, and that the region is one of its account: " + who
		case "RequestTimeTooSkewed", "RequestExpired":
			clock(e)
		case "InvalidSignatureException", "SignatureDoesNotMatch":
			e.Message += ": the signature does not match"
			e.Advice = "check that the secret key belongs to the access key, and that nothing in between changes requests: " + who
			switch {
			case messageHas(err, "Signature expired", "not yet current"):
				clock(e)
			case messageHas(err, "scoped to a valid region"):
				e.Message = "the request was signed for another region than the endpoint's"
				e.Advice = "write the endpoint's region in the backend: region = \"us-east-1\" (or its own)"
			}
		}
	case resolver.Throttled:
		e.Advice = "wait a little and try again; a longer `ttl` asks less often"
	case resolver.Unavailable:
		e.Advice = "try again; check the region, the endpoint and any proxy in between"
	}
}

// clock: AWS takes signatures that are at most five minutes off.
func clock(e *resolver.Error) {
	e.Message, e.Advice = "this machine's clock and that of AWS are too far apart", "set this machine's clock: timedatectl status"
}

// ExplainAssume is Explain for a call of AssumeRole.
func (l *Login) ExplainAssume(ctx context.Context, err error, role string) *resolver.Error {
	return l.explainAssume(ctx, err, role, false)
}

// explainAssume is that for both ways to assume a role; web is the one with a token.
func (l *Login) explainAssume(ctx context.Context, err error, role string, web bool) *resolver.Error {
	return l.explain(ctx, err, map[string]resolver.Kind{
		"InvalidIdentityToken":    resolver.AccessDenied,
		"IDPRejectedClaim":        resolver.AccessDenied,
		"RegionDisabledException": resolver.AccessDenied,
		"IDPCommunicationError":   resolver.Unavailable,
	}, func(e *resolver.Error) { assumeWords(e, role, web) })
}

func assumeWords(e *resolver.Error, role string, web bool) {
	switch {
	case denied(e):
		e.Message = fmt.Sprintf("the role %s may not be assumed", role)
		e.Advice = "allow sts:AssumeRole on it to who you are (aws sts get-caller-identity), and you in the role's trust policy; where that asks for an external id, check external_id"
		if web {
			e.Advice = "allow sts:AssumeRoleWithWebIdentity in the role's trust policy to the cluster's OIDC provider, for the audience sts.amazonaws.com and the subject system:serviceaccount:NAMESPACE:NAME"
		}
	case e.Code == "InvalidIdentityToken", e.Code == "IDPRejectedClaim":
		e.Message = "STS does not accept the web identity token"
		e.Advice = "check that the cluster's OIDC provider is one of the account's (aws iam list-open-id-connect-providers), and that AWS_WEB_IDENTITY_TOKEN_FILE is the cluster's token for sts.amazonaws.com"
	case web && strings.HasPrefix(e.Code, "ExpiredToken"):
		e.Message = "the web identity token has expired"
		e.Advice = "check that AWS_WEB_IDENTITY_TOKEN_FILE is the projected token, which the cluster renews, and this machine's clock"
	case e.Kind == resolver.Unavailable && e.Code == "" && !strings.HasPrefix(e.Message, "the answer is longer"):
		e.Message = "the answer is not one of STS"
	case e.Code == "RegionDisabledException":
		e.Message, e.Advice = "STS is not active in the region", "activate it under IAM, account settings, or choose another region"
	case e.Code == "MalformedPolicyDocument", e.Code == "PackedPolicyTooLarge":
		e.Kind, e.Message = resolver.InvalidReference, "STS does not accept the session policy"
		e.Advice = "check session_policy: valid JSON, at most 2048 characters; aws accessanalyzer validate-policy --policy-type IDENTITY_POLICY"
	case e.Kind == resolver.InvalidReference:
		e.Message = fmt.Sprintf("STS refuses to assume %s", role)
		e.Advice = "check role_arn, session_name (letters, digits and =,.@-), external_id and duration_seconds (900 to the role's maximum: aws iam get-role --role-name NAME)"
	}
}

func noCredentials() *resolver.Error {
	return &resolver.Error{Kind: resolver.AccessDenied, Message: "no AWS credentials are found",
		Advice: "log in (aws sso login, or aws configure), or set AWS_PROFILE; check with: aws sts get-caller-identity"}
}

// explainLogin says why there are no credentials.
func (l *Login) explainLogin(ctx context.Context, err error) *resolver.Error {
	var (
		typed     *resolver.Error
		sso       *ssocreds.InvalidTokenError
		process   *processcreds.ProviderError
		operation *smithy.OperationError
	)
	switch {
	case ctx.Err() != nil:
		return resolver.Transport(ctx.Err())
	case errors.As(err, &typed):
		return typed
	case errors.As(err, &sso):
		e := noCredentials()
		e.Message, e.Advice = "the AWS SSO session has ended", "log in again: aws sso login"
		return e
	case errors.As(err, &process):
		e := noCredentials()
		e.Message, e.Advice = "the profile's credential_process gives no credentials", "run it by hand; it stands in ~/.aws/config"
		return e
	case l.opt.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI") != "" && !errors.As(err, &operation):
		e := noCredentials()
		e.Message = "the container's credential agent gives no credentials"
		e.Advice = "check that the service account has a pod identity (aws eks list-pod-identity-associations), and AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
		return e
	case !errors.As(err, &operation), operation.Service() == "ec2imds": // the end of the chain
		return noCredentials()
	}
	return l.explain(ctx, err, nil, func(e *resolver.Error) {
		if e.Kind == resolver.InvalidReference || e.Kind == resolver.NotFound {
			e.Kind = resolver.AccessDenied
		}
		e.Message = "getting AWS credentials from " + operation.Service()
		e.Advice = "check them: aws sts get-caller-identity"
	})
}

func explainConfig(ctx context.Context, err error) *resolver.Error {
	if ctx.Err() != nil {
		return resolver.Transport(ctx.Err())
	}
	e := &resolver.Error{Kind: resolver.InvalidReference, Message: "the AWS configuration cannot be loaded",
		Advice: "check ~/.aws/config, ~/.aws/credentials and the AWS_ variables: aws configure list"}
	var profile config.SharedConfigProfileNotExistError
	if errors.As(err, &profile) {
		e.Message, e.Advice = "the AWS profile that AWS_PROFILE names is not there", "check AWS_PROFILE: aws configure list-profiles"
	}
	return e
}

// Region is the region in an ARN of the service, arn:aws:SERVICE:REGION:…, else "".
func Region(id, service string) string {
	parts := strings.SplitN(id, ":", 6)
	if len(parts) == 6 && parts[0] == "arn" && parts[2] == service {
		return parts[3]
	}
	return ""
}

// Quote makes a reference safe to paste into a shell.
func Quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./,:@+=", r)
	}
	if s != "" && strings.TrimFunc(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
