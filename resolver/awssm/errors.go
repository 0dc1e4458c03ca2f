package awssm

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/smithy-go"

	"kz/resolver"
	"kz/resolver/awsauth"
)

// kinds are the service's own codes.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
var kinds = map[string]resolver.Kind{
	"ResourceNotFoundException": resolver.NotFound,
	"InvalidRequestException":   resolver.NotFound, // marked for deletion
	"DecryptionFailure":         resolver.DecryptionFailed,
	"EncryptionFailure":         resolver.DecryptionFailed,
	"InvalidParameterException": resolver.InvalidReference,
	"LimitExceededException":    resolver.Throttled,
}

// action is what a call does, for what is said of its failure.
type action struct{ verb, permission, kms string }

var (
	reading = action{"read", "secretsmanager:GetSecretValue", "kms:Decrypt"}
	writing = action{"write", "secretsmanager:PutSecretValue", "kms:GenerateDataKey and kms:Decrypt"}
	making  = action{"make", "secretsmanager:CreateSecret", "kms:GenerateDataKey and kms:Decrypt"}
)

// explain makes an error of this module from what the SDK returned for a secret.
func (s *Store) explain(ctx context.Context, err error, ref resolver.Ref, region string, doing action) *resolver.Error {
	return s.login.Explain(ctx, err, kinds, func(e *resolver.Error) { words(e, err, ref, region, doing) })
}

func words(e *resolver.Error, err error, ref resolver.Ref, region string, doing action) {
	show := "aws secretsmanager describe-secret --secret-id " + awsauth.Quote(ref.ID) + " --region " + region
	switch {
	case ref.ID == "": // a batch or a check, which is about no one secret
	case e.Kind == resolver.NotFound:
		explainNotFound(e, ref, region, show)
	case awsauth.Denied(e):
		e.Message = fmt.Sprintf("the credentials may not %s %q", doing.verb, ref.ID)
		e.Advice = fmt.Sprintf("allow %s on %s (and %s on its key, if it has one of its own); who you are: aws sts get-caller-identity", doing.permission, resource(ref.ID, region), doing.kms)
		if awsauth.MentionsKMS(err) {
			e.Message = fmt.Sprintf("the credentials may not use the KMS key of %q", ref.ID)
			e.Advice = fmt.Sprintf("allow %s on its key, in the key's policy too if it is of another account; which key: %s", doing.kms, show)
		}
	case e.Kind == resolver.DecryptionFailed:
		e.Message = fmt.Sprintf("KMS could not decrypt %q", ref.ID)
		if e.Code == "EncryptionFailure" {
			e.Message = fmt.Sprintf("KMS could not encrypt %q", ref.ID)
		}
		e.Advice = fmt.Sprintf("allow %s on its key, and check that the key is enabled; which key: %s", doing.kms, show)
	case e.Kind == resolver.InvalidReference:
		e.Message = "the store refuses the reference"
		e.Advice = "check secret_id, version_stage and version_id: " + show
	}
}

func explainNotFound(e *resolver.Error, ref resolver.Ref, region, show string) {
	e.Message = fmt.Sprintf("there is no secret %q in %s", ref.ID, region)
	e.Advice = "check secret_id and region: " + show
	if ref.VersionStage != "" || ref.VersionID != "" {
		e.Message += " with that version"
		e.Advice = "check secret_id, region, version_stage and version_id: " + show
	}
	if e.Code == "InvalidRequestException" {
		e.Message = fmt.Sprintf("the secret %q is marked for deletion, or has no value that may be read", ref.ID)
		e.Advice = "see its state: " + show + "; undo a deletion: aws secretsmanager restore-secret --secret-id " + awsauth.Quote(ref.ID) + " --region " + region
	}
	if r := awsauth.Region(ref.ID, service); r != "" && r != region {
		e.Advice = fmt.Sprintf("the ARN is of %s, the backend asks in %s: write region = %q in the backend", r, region, r)
	}
}

// resource is a secret as it stands in a policy: what follows the name is chosen by AWS.
func resource(id, region string) string {
	if strings.HasPrefix(id, "arn:") {
		return id
	}
	return "arn:aws:secretsmanager:" + region + ":*:secret:" + id + "-??????"
}

// isCode reports whether the service answered with a code.
func isCode(err error, code string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == code
}
