package cli

import (
	"fmt"

	"kz/cmd/kz/config"
)

// storeTags are the build tags that leave stores out whose SDKs are heavy, as in `go build -tags kz_no_aws,kz_no_vault ./cmd/kz`.
// Where a store is left out, its maker is nil.
var storeTags = map[string]string{
	config.AWSSecretsManager: "kz_no_aws",
	config.AWSSSM:            "kz_no_aws",
	config.AWSSTS:            "kz_no_aws",
	config.AzureKeyVault:     "kz_no_azure",
	config.GCPSecretManager:  "kz_no_gcp",
	config.HashicorpVault:    "kz_no_vault",
}

// notInBuild is of a type that was left out.
func notInBuild(typ string) error {
	if tag := storeTags[typ]; tag != "" {
		return fmt.Errorf("its type %s is not in this build, which was made with -tags %s", typ, tag)
	}
	return fmt.Errorf("its type %s is not in this build", typ)
}
