package awsauth

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"kz/resolver"
)

// assumer returns what fetches the role's credentials. cfg has a region and the
// credentials that the role is assumed with.
func (l *Login) assumer(cfg aws.Config) (func(context.Context) (aws.Credentials, error), error) {
	api := sts.NewFromConfig(cfg, func(o *sts.Options) {
		if l.opt.STS != "" {
			o.BaseEndpoint = &l.opt.STS
		}
	})
	if l.opt.Auth == Role {
		role := stscreds.NewAssumeRoleProvider(api, l.opt.RoleARN, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = l.opt.SessionName
			if l.opt.ExternalID != "" {
				o.ExternalID = &l.opt.ExternalID
			}
		})
		return func(ctx context.Context) (aws.Credentials, error) {
			if cfg.Credentials == nil {
				return aws.Credentials{}, noCredentials()
			}
			if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
				return aws.Credentials{}, l.explainLogin(ctx, err)
			}
			creds, err := role.Retrieve(ctx)
			if err != nil {
				return aws.Credentials{}, l.explainAssume(ctx, err, l.opt.RoleARN, false)
			}
			return creds, nil
		}, nil
	}
	arn := l.opt.RoleARN
	if arn == "" {
		arn = l.opt.Getenv("AWS_ROLE_ARN")
	}
	path := l.opt.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE")
	switch {
	case arn == "":
		return nil, &resolver.Error{Kind: resolver.AccessDenied, Message: "no role is named for the web identity",
			Advice: "write role_arn in the backend, or annotate the pod's service account with eks.amazonaws.com/role-arn, which sets AWS_ROLE_ARN"}
	case path == "":
		return nil, &resolver.Error{Kind: resolver.AccessDenied, Message: "the pod has no web identity token",
			Advice: "annotate its service account with eks.amazonaws.com/role-arn, which sets AWS_WEB_IDENTITY_TOKEN_FILE; outside a pod use another auth"}
	}
	identity := stscreds.NewWebIdentityRoleProvider(api, arn, tokenFile(path), func(o *stscreds.WebIdentityRoleOptions) {
		o.RoleSessionName = l.opt.SessionName
	})
	return func(ctx context.Context) (aws.Credentials, error) {
		creds, err := identity.Retrieve(ctx)
		if err != nil {
			return aws.Credentials{}, l.explainAssume(ctx, err, arn, true)
		}
		return creds, nil
	}, nil
}

// maxToken is more than a web identity token may have: STS takes 20,000 characters.
const maxToken = 64 << 10

// tokenFile is a projected token, which the cluster renews: it is read anew at each login.
type tokenFile string

// GetIdentityToken implements stscreds.IdentityTokenRetriever.
func (path tokenFile) GetIdentityToken() ([]byte, error) {
	if info, err := os.Stat(string(path)); err == nil && !info.Mode().IsRegular() { // opening a pipe may take for ever
		return nil, tokenUnread(string(path), errors.New("it is no regular file"))
	}
	f, err := os.Open(string(path))
	if err != nil {
		return nil, tokenUnread(string(path), err)
	}
	defer f.Close()
	token, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	switch {
	case err != nil:
		return nil, tokenUnread(string(path), err)
	case len(token) == 0 || len(token) > maxToken:
		return nil, tokenUnread(string(path), errors.New("its size is not that of a token"))
	}
	return token, nil
}

func tokenUnread(path string, err error) error {
	e := resolver.File(path, err)
	e.Kind, e.Message = resolver.AccessDenied, "reading the web identity token: "+e.Message
	e.Advice = "check AWS_WEB_IDENTITY_TOKEN_FILE and the pod's projected volume"
	return e
}
