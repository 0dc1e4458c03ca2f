//go:build kz_no_aws

package cli

var awsSecretsManager, awsSSM, awsSTS storeMaker
