//go:build kz_no_vault

package cli

var hashicorpVault storeMaker
