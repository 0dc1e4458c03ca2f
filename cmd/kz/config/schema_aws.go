package config

import "slices"

// The ways to log in to AWS: the SDK's own chain, and those that the backend spells out.
const (
	AuthDefault = "default"
	AuthStatic  = "static"
	AuthRole    = "role"
	AuthIRSA    = "irsa"
)

func awsTypes() []Type {
	return []Type{
		{
			Name: AWSSecretsManager, Label: "AWS Secrets Manager", Help: "secrets by name or ARN",
			Settings:   slices.Concat(awsPlace(), awsLogin(), kinds()),
			references: []string{"kind", "version_stage", "version_id"},
		},
		{
			Name: AWSSSM, Label: "AWS Systems Manager Parameter Store", Help: "parameters by path or ARN, decrypted",
			Settings:   slices.Concat(awsPlace(), awsLogin(), kinds()),
			references: []string{"kind", "version"},
		},
		{
			Name: AWSSTS, Label: "AWS STS", Help: "temporary credentials of a role, as one JSON object",
			Settings: slices.Concat(awsPlace(), []SettingType{
				{Key: "auth", Label: "Authentication", Type: "enum", Values: []string{AuthDefault, AuthStatic, AuthIRSA}, Help: "with what the role is assumed"},
				{Key: "access_key_id", Label: "Access key", Type: "string", Required: true, Auth: []string{AuthStatic}, Help: "of the user who assumes the role"},
				{Key: "secret_access_key", Label: "Secret key", Type: "string", Required: true, Sensitive: true, Auth: []string{AuthStatic}, Help: "of that access key"},
				{Key: "role_arn", Label: "Role", Type: "string", Help: "the role of secrets that name none"},
				{Key: "session_name", Label: "Session name", Type: "string", Help: "as it stands in CloudTrail; kz unless given"},
				{Key: "external_id", Label: "External ID", Type: "string", Help: "what the role's trust policy asks for"},
				{Key: "duration_seconds", Label: "Duration", Type: "number", Help: "how long the credentials live; 900 unless given"},
				{Key: "session_policy", Label: "Session policy", Type: "string", Help: "a policy as JSON that narrows what the credentials may do"},
			}),
			references: []string{"role_arn", "duration_seconds", "session_name", "export_as"},
		},
	}
}

func awsPlace() []SettingType {
	return []SettingType{
		{Key: "region", Label: "Region", Type: "string", Help: "the SDK's own resolution when left out, then the region of a secret's ARN"},
		{Key: "endpoint", Label: "Endpoint", Type: "url", Help: "a private endpoint in place of the region's"},
	}
}

func awsLogin() []SettingType {
	return []SettingType{
		{Key: "auth", Label: "Authentication", Type: "enum", Values: []string{AuthDefault, AuthStatic, AuthRole, AuthIRSA},
			Help: "default is the SDK's chain: environment, shared files, SSO, instance, ECS, EKS pod identity"},
		{Key: "access_key_id", Label: "Access key", Type: "string", Required: true, Auth: []string{AuthStatic, AuthRole}, Help: "of an IAM user"},
		{Key: "secret_access_key", Label: "Secret key", Type: "string", Required: true, Sensitive: true, Auth: []string{AuthStatic, AuthRole}, Help: "of that access key"},
		{Key: "role_arn", Label: "Role", Type: "string", Required: true, Auth: []string{AuthRole, AuthIRSA}, Help: "the role that is assumed"},
		{Key: "session_name", Label: "Session name", Type: "string", Auth: []string{AuthRole, AuthIRSA}, Help: "as it stands in CloudTrail; kz unless given"},
		{Key: "external_id", Label: "External ID", Type: "string", Auth: []string{AuthRole}, Help: "what the role's trust policy asks for"},
	}
}
