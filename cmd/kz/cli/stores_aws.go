//go:build !kz_no_aws

package cli

import (
	"time"

	"kz/resolver"
	"kz/resolver/awsauth"
	"kz/resolver/awssm"
	"kz/resolver/awsssm"
	"kz/resolver/awssts"
)

func awsSecretsManager(_ *app, b backend) (resolver.Resolver, error) { return awssm.New(awsLogin(b)) }

func awsSSM(_ *app, b backend) (resolver.Resolver, error) { return awsssm.New(awsLogin(b)) }

func awsSTS(_ *app, b backend) (resolver.Resolver, error) {
	// The role, the session and the external id are those of the secrets here, not of the login.
	login := awsLogin(b)
	login.RoleARN, login.SessionName, login.ExternalID = "", "", ""
	return awssts.New(awssts.Options{
		Login: login, RoleARN: b.Text("role_arn"), SessionName: b.Text("session_name"), ExternalID: b.Text("external_id"),
		SessionPolicy: b.Text("session_policy"), Duration: time.Duration(b.Number("duration_seconds")) * time.Second,
	})
}

// awsLogin is how a backend of AWS is reached and logged in to.
func awsLogin(b backend) awsauth.Options {
	return awsauth.Options{
		Region: b.Text("region"), Endpoint: b.Text("endpoint"),
		Auth: b.Text("auth"), AccessKeyID: b.Text("access_key_id"), SecretAccessKey: b.Secret("secret_access_key"),
		RoleARN: b.Text("role_arn"), SessionName: b.Text("session_name"), ExternalID: b.Text("external_id"),
	}
}
