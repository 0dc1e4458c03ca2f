package test

import "strings"

// room says what one package may import beside the standard library. Tests may
// import more: what test files of every package may use is in testOnly.
type room struct {
	kz      []string // packages of this module; "…" at the end: all below
	modules []string // other modules, by prefix
	banned  []string // packages of the standard library it has no use for
}

// rooms are all the packages there may be, by directory. To add a package, add its
// room; an arrow that is not here is not meant to be.
var rooms = map[string]room{
	"cmd/kz":        {kz: []string{"kz/cmd/kz/cli"}},
	"cmd/kz/cli":    {kz: []string{"kz/…"}, modules: []string{"github.com/spf13/cobra", "github.com/spf13/pflag", "golang.org/x/sync", "golang.org/x/sys", "golang.org/x/term"}},
	"cmd/kz/config": {kz: []string{"kz/resolver", "kz/proxy/policy"}, modules: []string{"github.com/pelletier/go-toml/v2", "github.com/goccy/go-yaml"}},

	"proxy": {
		kz: []string{"kz/masking", "kz/masking/fields", "kz/resolver", "kz/ca", "kz/proxy/policy", "kz/proxy/audit"},
		modules: []string{
			"github.com/elazarl/goproxy", "github.com/klauspost/compress", "github.com/andybalholm/brotli",
			"golang.org/x/net", "golang.org/x/sync", "golang.org/x/sys",
		},
	},
	// Pure: no input or output, no log, no clock.
	"proxy/policy": {
		modules: []string{"golang.org/x/net/idna"},
		banned:  []string{"bufio", "context", "io", "log", "log/slog", "net", "net/http", "os", "sync", "syscall", "time"},
	},
	"proxy/audit": {banned: []string{"net/http"}, modules: []string{"golang.org/x/sys"}},

	"masking":        {kz: []string{"kz/masking/fields"}, banned: []string{"net", "net/http", "os", "time"}},
	"masking/fields": {banned: []string{"net", "net/http", "os", "time"}},

	"ca":            {modules: []string{"github.com/hashicorp/golang-lru/v2", "golang.org/x/crypto/cryptobyte", "golang.org/x/sync", "golang.org/x/sys"}, banned: []string{"math/rand", "math/rand/v2", "net/http"}},
	"ca/truststore": {kz: []string{"kz/ca"}, modules: []string{"github.com/smallstep/truststore", "golang.org/x/sys", "howett.net/plist"}},

	"resolver":         {modules: []string{"golang.org/x/sync"}},
	"resolver/env":     {kz: []string{"kz/resolver"}},
	"resolver/envfile": {kz: []string{"kz/resolver"}},
	"resolver/awsauth": {kz: []string{"kz/resolver"}, modules: []string{"github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go"}},
	"resolver/agefile": {kz: []string{"kz/resolver", "kz/resolver/envfile"}, modules: []string{"filippo.io/age", "github.com/goccy/go-yaml"}},
	"resolver/awssm":   {kz: []string{"kz/resolver", "kz/resolver/awsauth"}, modules: []string{"github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go"}},
	"resolver/awsssm":  {kz: []string{"kz/resolver", "kz/resolver/awsauth"}, modules: []string{"github.com/aws/aws-sdk-go-v2"}},
	"resolver/awssts":  {kz: []string{"kz/resolver", "kz/resolver/awsauth"}, modules: []string{"github.com/aws/aws-sdk-go-v2"}},
	"resolver/azurekv": {kz: []string{"kz/resolver"}, modules: []string{"github.com/Azure/azure-sdk-for-go", "golang.org/x/sync"}},
	"resolver/gcpsm":   {kz: []string{"kz/resolver"}, modules: []string{"cloud.google.com/go/auth", "cloud.google.com/go/compute/metadata", "golang.org/x/sync"}},
	"resolver/vault":   {kz: []string{"kz/resolver"}, modules: []string{"github.com/hashicorp/vault/api", "golang.org/x/sync"}},

	"resolver/onepassword": {kz: []string{"kz/resolver"}},
	"resolver/execstore":   {kz: []string{"kz/resolver"}, modules: []string{"golang.org/x/sys"}},
	"resolver/local":       {kz: []string{"kz/resolver"}, modules: []string{"filippo.io/age", "golang.org/x/sys"}},
	"resolver/keychain":    {kz: []string{"kz/resolver"}, modules: []string{"github.com/godbus/dbus/v5", "github.com/zalando/go-keyring"}},

	"resolver/resolvertest":           {kz: []string{"kz/resolver"}},
	"resolver/resolvertest/azurefake": {kz: []string{"kz/resolver/resolvertest"}},
	"resolver/resolvertest/gcpfake":   {kz: []string{"kz/resolver/resolvertest"}},
	"resolver/resolvertest/awsfake":   {kz: []string{"kz/resolver", "kz/resolver/awsauth"}, modules: []string{"github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go"}},
}

// testRoom is for everything below test/.
var testRoom = room{
	kz: []string{"kz/…"},
	modules: []string{
		"connectrpc.com/connect", "filippo.io/age", "github.com/andybalholm/brotli", "github.com/coder/websocket", "github.com/klauspost/compress", "golang.org/x/net",
		"golang.org/x/sys", "google.golang.org/grpc", "google.golang.org/protobuf", "go.uber.org/goleak",
	},
}

// peersRoom is for test/peers: beside proxy, it alone may import goproxy, whose own
// interception kz is held against. bannedNames are banned from the product, not there.
var peersRoom = room{modules: []string{"github.com/elazarl/goproxy"}}

// testOnly is what test files may import beside what their package may.
var testOnly = room{
	kz: []string{"kz/resolver/resolvertest", "kz/resolver/resolvertest/awsfake", "kz/resolver/resolvertest/azurefake", "kz/resolver/resolvertest/gcpfake", "kz/test/…"},
	modules: []string{
		"github.com/1Password/connect-sdk-go", "github.com/andybalholm/brotli", "github.com/coder/websocket", "github.com/goccy/go-yaml", "github.com/klauspost/compress",
		"github.com/pelletier/go-toml/v2", "github.com/prometheus/common", "github.com/rogpeppe/go-internal", "go.uber.org/goleak", "golang.org/x/net", "golang.org/x/sync", "golang.org/x/sys",
		"google.golang.org/grpc", "google.golang.org/protobuf", "software.sslmate.com/src/go-pkcs12",
	},
}

// roomOf finds the room of a directory.
func roomOf(dir string) (room, bool) {
	if dir == "test/peers" {
		return peersRoom, true
	}
	if dir == "test" || strings.HasPrefix(dir, "test/") {
		return testRoom, true
	}
	r, ok := rooms[dir]
	return r, ok
}

// topLevel are the names the top of the tree may have, hidden ones aside.
var topLevel = []string{"LICENSE", "README.md", "ca", "cmd", "go.mod", "go.sum", "masking", "proxy", "resolver", "test"}

// maxLines is how long a source file may be without a reason.
const maxLines = 400

// longFiles are the files past maxLines and why they are.
var longFiles = map[string]string{
	"cmd/kz/cli/childenv_test.go":    "one table of environments, read top to bottom",
	"cmd/kz/cli/child_linux_test.go": "every way a child can end or be stopped, with what they share",
	"cmd/kz/config/problems_test.go": "one table: each wrong line with its message",
	"proxy/refuse_test.go":           "one table of refusals, each with its answer and its audit line",
}

// bannedNames are selectors that product code has no use for, and why. Below test/ they may be used.
var bannedNames = map[string]string{
	"github.com/elazarl/goproxy.GoproxyCa":       "its private key is public",
	"github.com/elazarl/goproxy.MitmConnect":     "it signs with goproxy's own CA",
	"github.com/elazarl/goproxy.HTTPMitmConnect": "it signs with goproxy's own CA",
	"github.com/elazarl/goproxy.OkConnect":       "it tunnels whatever no rule names",
	"github.com/elazarl/goproxy.AlwaysMitm":      "it intercepts with goproxy's own CA",
	"net/http.DefaultClient":                     "its proxy comes from the environment, and it has no time limit",
	"net/http.DefaultTransport":                  "its proxy comes from the environment",
	"net/http.Get":                               "it uses http.DefaultClient",
	"net/http.Post":                              "it uses http.DefaultClient",
	"net/http.Head":                              "it uses http.DefaultClient",
	"net/http.ListenAndServe":                    "it has no time limits",
}
