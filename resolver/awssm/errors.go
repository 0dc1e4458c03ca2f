package awssm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/smithy-go"

	"kz/resolver"
)

const accessDenied = "AccessDeniedException"

// kinds are the error codes that say what happened; others are judged by their status.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html
var kinds = map[string]resolver.Kind{
	"ResourceNotFoundException":           resolver.NotFound,
	"InvalidRequestException":             resolver.NotFound, // marked for deletion
	accessDenied:                          resolver.AccessDenied,
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
	"DecryptionFailure":                   resolver.DecryptionFailed,
	"Throttling":                          resolver.Throttled,
	"ThrottlingException":                 resolver.Throttled,
	"ThrottledException":                  resolver.Throttled,
	"TooManyRequestsException":            resolver.Throttled,
	"RequestLimitExceeded":                resolver.Throttled,
	"LimitExceededException":              resolver.Throttled,
	"InvalidParameterException":           resolver.InvalidReference,
	"ValidationException":                 resolver.InvalidReference,
	"ValidationError":                     resolver.InvalidReference,
	"InternalServiceError":                resolver.Unavailable,
	"InternalFailure":                     resolver.Unavailable,
	"ServiceUnavailable":                  resolver.Unavailable,
}

// errorCode is the service's code for a failure, or "". Only letters are let
// through: that is what codes are made of, and tokens and values are not.
func errorCode(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return ""
	}
	code := api.ErrorCode()
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

// classify turns an answer into a kind; ok is false when there was no answer.
func classify(err error) (e *resolver.Error, ok bool) {
	e = &resolver.Error{Status: httpStatus(err), Code: errorCode(err)}
	if kind, known := kinds[e.Code]; known {
		e.Kind = kind
		return e, true
	}
	switch {
	case e.Status == http.StatusTooManyRequests:
		e.Kind = resolver.Throttled
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
		e.Kind = resolver.AccessDenied
	case e.Status >= 500, e.Status != 0 && e.Code == "":
		e.Kind = resolver.Unavailable
		if e.Code == "" {
			e.Message = "the answer is not one of Secrets Manager"
		}
	case e.Code != "":
		e.Kind = resolver.InvalidReference
	default:
		return nil, false
	}
	return e, true
}

// explain makes an error of this module from what the SDK returned for a secret.
func (c *client) explain(ctx context.Context, err error, ref resolver.Ref) error {
	if ctx.Err() != nil {
		return resolver.Transport(ctx.Err())
	}
	e, ok := classify(err)
	if !ok {
		return resolver.Transport(err)
	}
	show := "aws secretsmanager describe-secret --secret-id " + shellQuote(ref.ID) + " --region " + c.region
	switch e.Kind {
	case resolver.NotFound:
		c.explainNotFound(e, ref, show)
	case resolver.AccessDenied:
		if e.Code == accessDenied && ref.ID != "" {
			e.Message = fmt.Sprintf("the credentials may not read %q", ref.ID)
			e.Advice = "allow secretsmanager:GetSecretValue on it (and kms:Decrypt on its key, if it has one of its own); who you are: aws sts get-caller-identity"
			break
		}
		e.Message = "the store does not accept the credentials"
		e.Advice = "check them, the region and this machine's clock: aws sts get-caller-identity"
	case resolver.DecryptionFailed:
		e.Message = fmt.Sprintf("KMS could not decrypt %q", ref.ID)
		e.Advice = "allow kms:Decrypt on its key, and check that the key is enabled; which key: " + show
	case resolver.Throttled:
		e.Advice = "wait a little and try again; a longer `ttl` asks less often"
	case resolver.InvalidReference:
		e.Message = "the store refuses the reference"
		e.Advice = "check secret_id, version_stage and version_id: " + show
	case resolver.Unavailable:
		e.Advice = "try again; check the region, the endpoint and any proxy in between"
	}
	return e
}

func (c *client) explainNotFound(e *resolver.Error, ref resolver.Ref, show string) {
	e.Message = fmt.Sprintf("there is no secret %q in %s", ref.ID, c.region)
	e.Advice = "check secret_id and region: " + show
	if ref.VersionStage != "" || ref.VersionID != "" {
		e.Message += " with that version"
		e.Advice = "check secret_id, region, version_stage and version_id: " + show
	}
	if e.Code == "InvalidRequestException" {
		e.Message = fmt.Sprintf("the secret %q is marked for deletion, or has no value that may be read", ref.ID)
		e.Advice = "see its state: " + show
	}
	if r := arnRegion(ref.ID); r != "" && r != c.region {
		e.Advice = fmt.Sprintf("the ARN is of %s, the backend asks in %s: write region = %q in the backend", r, c.region, r)
	}
}

func noCredentials() *resolver.Error {
	return &resolver.Error{Kind: resolver.AccessDenied, Message: "no AWS credentials are found",
		Advice: "log in (aws sso login, or aws configure), or set AWS_PROFILE; check with: aws sts get-caller-identity"}
}

// explainCredentials says why the credential chain gave none.
func explainCredentials(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return resolver.Transport(ctx.Err())
	}
	var (
		sso       *ssocreds.InvalidTokenError
		process   *processcreds.ProviderError
		operation *smithy.OperationError
	)
	switch {
	case errors.As(err, &sso):
		e := noCredentials()
		e.Message, e.Advice = "the AWS SSO session has ended", "log in again: aws sso login"
		return e
	case errors.As(err, &process):
		e := noCredentials()
		e.Message, e.Advice = "the profile's credential_process gives no credentials", "run it by hand; it stands in ~/.aws/config"
		return e
	case !errors.As(err, &operation), operation.Service() == "ec2imds": // the end of the chain
		return noCredentials()
	}
	e, ok := classify(err)
	if !ok {
		e = resolver.Transport(err)
	}
	if e.Kind == resolver.InvalidReference || e.Kind == resolver.NotFound {
		e.Kind = resolver.AccessDenied
	}
	e.Message = "getting AWS credentials from " + operation.Service()
	e.Advice = "check them: aws sts get-caller-identity"
	return e
}

// shellQuote makes a reference safe to paste into a shell.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./,:@+=", r)
	}
	if s != "" && strings.TrimFunc(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
