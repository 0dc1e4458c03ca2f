//go:build kz_no_azure

package cli

var azureKeyVault storeMaker
