package test

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// maxInit is how many bytes the packages of kz may allocate before main, in every run, whatever it uses. They are
// 1.6 MB, of which Vault's library has a fifth and AWS's have a half.
const maxInit = 2 << 20

// TestTheStartDoesNotGrowByWhatARunDoesNotUse: a library that makes tables of everything it knows when a program starts
// slows every run. Bytes are counted, and not time: they are the same on every machine.
func TestTheStartDoesNotGrowByWhatARunDoesNotUse(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), buildWith(t, ""), "version")
	cmd.Env = []string{"GODEBUG=inittrace=1"}
	var trace bytes.Buffer
	cmd.Stderr = &trace
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	type cost struct {
		name  string
		bytes int
	}
	var all []cost
	sum := 0
	for _, m := range regexp.MustCompile(`(?m)^init (\S+) .* (\d+) bytes, \d+ allocs$`).FindAllStringSubmatch(trace.String(), -1) {
		n, err := strconv.Atoi(m[2])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, cost{m[1], n})
		sum += n
	}
	slices.SortFunc(all, func(a, b cost) int { return cmp.Compare(b.bytes, a.bytes) })
	if len(all) < 50 {
		t.Fatalf("only %d packages are in the trace: %s", len(all), trace.String())
	}
	if sum > maxInit {
		t.Errorf("%d bytes are allocated before main, more than %d; the most by %v", sum, maxInit, all[:8])
	}
	for _, c := range all {
		if strings.HasPrefix(c.name, "kz/") && c.bytes > 64<<10 {
			t.Errorf("%s allocates %d bytes before main: make it when it is used", c.name, c.bytes)
		}
	}
}

// leftOut is each build tag that leaves stores out, with their types and a package that is then not linked.
var leftOut = []struct {
	tag, sdk string
	types    []string
}{
	{"kz_no_aws", "github.com/aws/aws-sdk-go-v2/aws", []string{"aws_secrets_manager", "aws_ssm", "aws_sts"}},
	{"kz_no_azure", "github.com/Azure/azure-sdk-for-go/sdk/azcore", []string{"azure_key_vault"}},
	{"kz_no_gcp", "cloud.google.com/go/auth", []string{"gcp_secret_manager"}},
	{"kz_no_vault", "github.com/hashicorp/vault/api", []string{"hashicorp_vault"}},
}

func TestStoresAreLeftOutByTags(t *testing.T) {
	t.Parallel()
	var tags []string
	whole := linked(t, "")
	for _, c := range leftOut {
		tags = append(tags, c.tag)
		if !slices.Contains(whole, c.sdk) {
			t.Errorf("%s is not part of kz, whatever the tags", c.sdk)
		}
		if slices.Contains(linked(t, c.tag), c.sdk) {
			t.Errorf("%s is part of kz in spite of the tag %s", c.sdk, c.tag)
		}
		run(t, "go", "build", "-tags", c.tag, "-o", os.DevNull, "./cmd/kz/cli")
	}
	all := strings.Join(tags, ",")
	run(t, "go", "vet", "-tags", all, "./cmd/kz/cli")
	kz := buildWith(t, all)
	for _, c := range leftOut {
		for _, typ := range c.types {
			file := filepath.Join(t.TempDir(), "bundle.yaml")
			settings, reference := "", "path: x"
			switch typ {
			case "azure_key_vault":
				settings = `, vault_url: "https://v.test"`
			case "aws_sts":
				reference = `role_arn: "arn:aws:iam::123456789012:role/r"`
			}
			text := fmt.Sprintf("backends:\n  b: { type: %s%s }\nresolvers:\n  - { name: a-key, backend: b, %s }\n", typ, settings, reference)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), kz, "run", "--config", file, "--", "true")
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
			out, err := cmd.CombinedOutput()
			want := fmt.Sprintf("its type %s is not in this build, which was made with -tags %s", typ, c.tag)
			if err == nil || cmd.ProcessState.ExitCode() != 125 || !strings.Contains(string(out), want) {
				t.Errorf("%s: %v: %s", typ, err, out)
			}
		}
	}
}

// linked lists the packages of kz.
func linked(t *testing.T, tag string) []string {
	t.Helper()
	return strings.Fields(run(t, "go", "list", "-deps", "-tags", tag, "./cmd/kz"))
}

// buildWith builds kz with tags.
func buildWith(t *testing.T, tags string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "kz")
	run(t, "go", "build", "-tags", tags, "-o", path, "./cmd/kz")
	return path
}

// run runs a program in the top directory and returns what it prints.
func run(t *testing.T, argv ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Dir = ".."
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, errs.String())
	}
	return string(out)
}
