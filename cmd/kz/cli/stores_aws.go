package cli

import (
	"kz/resolver"
	"kz/resolver/awsauth"
	"kz/resolver/awssm"
)

func awsSecretsManager(_ *app, b backend) (resolver.Resolver, error) { return awssm.New(awsLogin(b)) }

// awsLogin is how a backend of AWS is reached and logged in to.
func awsLogin(b backend) awsauth.Options {
	return awsauth.Options{
		Region: b.Text("region"), Endpoint: b.Text("endpoint"),
		Auth: b.Text("auth"), AccessKeyID: b.Text("access_key_id"), SecretAccessKey: b.Secret("secret_access_key"),
		RoleARN: b.Text("role_arn"), SessionName: b.Text("session_name"), ExternalID: b.Text("external_id"),
	}
}
