package e2e_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kz/resolver/resolvertest/awsfake"
	"kz/test/bed"
	"kz/test/canary"
)

// TestInitTakesADotenvFileToAStore is the way of a project that has its keys in .env: what kz init found and wrote is approved
// as it is, the values are put where it says, the file goes, and the program still gets them.
func TestInitTakesADotenvFileToAStore(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]func(t *testing.T) (env []string){
		"of kz's own": func(*testing.T) []string { return nil },
		"in Vault": func(t *testing.T) []string {
			v := bed.NewVault(t)
			return []string{"VAULT_ADDR=" + v.Addr, "VAULT_TOKEN=" + v.Token}
		},
		"in AWS": func(t *testing.T) []string {
			aws := bed.NewAWS(t, awsfake.Options{})
			return []string{"AWS_ENDPOINT_URL=" + aws.URL, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=" + awsfake.DefaultKey.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + awsfake.DefaultKey.SecretAccessKey,
				"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bed.New(t)
			b.Env = append(b.Env, store(t)...)
			groq, own := canary.Value("gsk_"), canary.Value("k-")
			b.Watch("GROQ_API_KEY", groq)
			b.Watch("OWN_TOKEN", own)
			dotenv := b.Path("home/.env")
			if err := os.WriteFile(dotenv, []byte("GROQ_API_KEY="+groq+"\nexport OWN_TOKEN='"+own+"' # ours\nLEVEL=3\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			var said []bed.Result
			kz := func(args ...string) bed.Result {
				t.Helper()
				res := b.KZ(args...)
				res.Succeeds(t)
				said = append(said, res)
				return res
			}
			kz("init")
			text, err := os.ReadFile(b.Path("home/.keyzero.toml"))
			if err != nil {
				t.Fatal(err)
			}
			kz("trust", "--yes", fmt.Sprintf("%x", sha256.Sum256(text)))
			kz("put", "--missing", "--from", filepath.Base(dotenv))
			if again := kz("put", "--missing", "--from", filepath.Base(dotenv)).Output(); !strings.Contains(again, "take these out of") || !strings.Contains(again, "GROQ_API_KEY, OWN_TOKEN") {
				t.Errorf("of a file with what is stored it says %s", again)
			}
			newer := canary.Value("gsk_")
			b.Watch("GROQ_API_KEY", newer)
			if err := os.WriteFile(dotenv, []byte("GROQ_API_KEY="+newer+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			other := kz("put", "--missing", "--from", filepath.Base(dotenv)).Output()
			if !strings.Contains(other, " has another value than .env, and keeps it") || strings.Contains(other, "take these out of") {
				t.Errorf("of a file with another value it says %s", other)
			}
			kz("run", "--", "/bin/sh", "-c", `test "$GROQ_API_KEY" = "$1"`, "sh", groq)
			if err := os.Remove(dotenv); err != nil {
				t.Fatal(err)
			}
			if again := kz("put", "--missing", "--from", os.DevNull); !strings.Contains(again.Output(), "no secret is missing") {
				t.Errorf("it says %s", again.Output())
			}
			kz("run", "--", "/bin/sh", "-c", `test "$GROQ_API_KEY" = "$1" && test "$OWN_TOKEN" = "$2"`, "sh", groq, own)
			b.Clean(said...)
		})
	}
}
