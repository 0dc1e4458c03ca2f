package awsssm

import (
	"context"
	"fmt"
	"strings"

	"kz/resolver"
	"kz/resolver/awsauth"
)

// kinds are the service's own codes.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html and …/API_PutParameter.html
var kinds = map[string]resolver.Kind{
	"ParameterNotFound":        resolver.NotFound,
	"ParameterVersionNotFound": resolver.NotFound,
	"InvalidKeyId":             resolver.DecryptionFailed,
	"TooManyUpdates":           resolver.Throttled,
}

// action is what a call does, for what is said of its failure.
type action struct{ verb, permission, kms string }

var (
	reading = action{"read", "ssm:GetParameter (and ssm:GetParameters)", "kms:Decrypt"}
	// A parameter that is there keeps its key, which has to be looked up.
	describing = action{"describe", "ssm:DescribeParameters (by which kz keeps the parameter's key)", "nothing"}
	writing    = action{"write", "ssm:PutParameter", "kms:Encrypt (kms:GenerateDataKey in the advanced tier)"}
)

// explain makes an error of this module from what the SDK returned for a parameter.
func (s *Store) explain(ctx context.Context, err error, ref resolver.Ref, region string, doing action) *resolver.Error {
	return s.login.Explain(ctx, err, kinds, func(e *resolver.Error) { words(e, err, ref, region, doing) })
}

func words(e *resolver.Error, err error, ref resolver.Ref, region string, doing action) {
	bare, selector := split(ref.ID)
	show := "aws ssm describe-parameters --parameter-filters " + awsauth.Quote("Key=Name,Values="+name(bare)) + " --region " + region
	switch {
	case ref.ID == "": // a batch or a check, which is about no one parameter
	case e.Kind == resolver.NotFound:
		e.Message = fmt.Sprintf("there is no parameter %q in %s", bare, region)
		e.Advice = "check its path and the region (a name with a path begins with a slash): " + show
		if e.Code == "ParameterVersionNotFound" || ref.Version != 0 || selector != "" {
			e.Message += " with that version"
			e.Advice = "check version and path: aws ssm get-parameter-history --name " + awsauth.Quote(name(bare)) + " --region " + region + " --query 'Parameters[].Version'"
		}
		if r := awsauth.Region(ref.ID, service); r != "" && r != region {
			e.Advice = fmt.Sprintf("the ARN is of %s, the backend asks in %s: write region = %q in the backend", r, region, r)
		}
	case awsauth.Denied(e) && awsauth.MentionsKMS(err):
		e.Message = fmt.Sprintf("the credentials may not use the KMS key of %q", bare)
		e.Advice = fmt.Sprintf("allow %s on its key; which key: %s", doing.kms, show)
	case awsauth.Denied(e):
		e.Message = fmt.Sprintf("the credentials may not %s %q", doing.verb, bare)
		e.Advice = fmt.Sprintf("allow %s on %s (and %s on its key, if it has one of its own); who you are: aws sts get-caller-identity", doing.permission, resource(bare, region), doing.kms)
		if doing == describing {
			e.Advice = fmt.Sprintf("allow %s on *; who you are: aws sts get-caller-identity", doing.permission)
		}
	case e.Kind == resolver.DecryptionFailed:
		e.Message = fmt.Sprintf("KMS could not use the key of %q", bare)
		e.Advice = fmt.Sprintf("check that the key is enabled and not marked for deletion, and allow %s on it; which key: %s", doing.kms, show)
	case e.Code == "HierarchyTypeMismatchException":
		e.Message = fmt.Sprintf("the parameter %q is there and is no SecureString", bare)
		e.Advice = "delete it first, its type cannot be changed: aws ssm delete-parameter --name " + awsauth.Quote(name(bare)) + " --region " + region
	case e.Kind == resolver.InvalidReference && doing == writing:
		e.Message = "the store refuses the parameter"
		e.Advice = "check its name (/a/b/c of letters, digits and _.-) and that its value has 1 to 4096 bytes; what is there: " + show
	case e.Kind == resolver.InvalidReference:
		e.Message = "the store refuses the reference"
		e.Advice = "check path and version: " + show
	}
}

// resource is a parameter as it stands in a policy.
func resource(id, region string) string {
	if strings.HasPrefix(id, "arn:") {
		return id
	}
	return "arn:aws:ssm:" + region + ":*:parameter/" + strings.TrimPrefix(id, "/")
}
