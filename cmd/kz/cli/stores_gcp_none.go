//go:build kz_no_gcp

package cli

var gcpSecretManager storeMaker
