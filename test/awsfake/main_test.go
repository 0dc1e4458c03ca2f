package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kz/resolver/resolvertest/awsfake"
)

// start runs the command in process and returns its two addresses.
func start(t *testing.T, seed string) (front, back string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "seed.json")
	if err := os.WriteFile(file, []byte(seed), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(ctx, pw, "127.0.0.1:0", file, awsfake.Options{}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	line, err := bufio.NewReader(pr).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(line)
	if len(f) != 3 || f[0] != "READY" {
		t.Fatalf("first line %q", line)
	}
	return f[1], strings.TrimPrefix(f[2], "control=")
}

// environment is all a client is given.
func environment(front, home string, more ...string) []string {
	return append([]string{
		"PATH=/usr/bin:/bin", "HOME=" + home, "AWS_ENDPOINT_URL=" + front, "AWS_ENDPOINT_URL_SECRETS_MANAGER=" + front,
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "AWS_PAGER=",
		"AWS_ACCESS_KEY_ID=" + awsfake.DefaultKey.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + awsfake.DefaultKey.SecretAccessKey,
	}, more...)
}

// need skips, or fails where everything is required, when a client is not there.
func need(t *testing.T, argv ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + t.TempDir()}
	if err := cmd.Run(); err == nil {
		return
	}
	if os.Getenv("KZ_TEST_REQUIRE") == "1" {
		t.Fatalf("%s is required and does not run", strings.Join(argv, " "))
	}
	t.Skipf("%s does not run: that client was left out", strings.Join(argv, " "))
}

func client(t *testing.T, env []string, argv ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = env
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestAWSCLI(t *testing.T) {
	t.Parallel()
	need(t, "/usr/bin/aws", "--version")
	front, _ := start(t, `{"prod/openai":"{\"api_key\":\"sk-1\"}"}`)
	get := func(env []string) (string, error) {
		return client(t, env, "/usr/bin/aws", "--endpoint-url", front, "secretsmanager", "get-secret-value", "--secret-id", "prod/openai", "--query", "SecretString", "--output", "text")
	}
	t.Run("reads a secret", func(t *testing.T) {
		t.Parallel()
		if out, err := get(environment(front, t.TempDir())); err != nil || strings.TrimSpace(out) != `{"api_key":"sk-1"}` {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("is refused with a wrong key", func(t *testing.T) {
		t.Parallel()
		out, err := get(environment(front, t.TempDir(), "AWS_SECRET_ACCESS_KEY=wrong"))
		if err == nil || !strings.Contains(out, "Signature") {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("learns who it is and takes a role", func(t *testing.T) {
		t.Parallel()
		env := environment(front, t.TempDir())
		if out, err := client(t, env, "/usr/bin/aws", "--endpoint-url", front, "sts", "get-caller-identity"); err != nil || !strings.Contains(out, "123456789012") {
			t.Errorf("%v: %s", err, out)
		}
		out, err := client(t, env, "/usr/bin/aws", "--endpoint-url", front, "sts", "assume-role", "--role-arn", "arn:aws:iam::123456789012:role/r", "--role-session-name", "kz")
		if err != nil || !strings.Contains(out, "SessionToken") {
			t.Errorf("%v: %s", err, out)
		}
	})
}

const boto3 = `
import boto3, botocore, os, sys
sm = boto3.client("secretsmanager", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
print("value", sm.get_secret_value(SecretId="a")["SecretString"])
try:
    sm.get_secret_value(SecretId="missing")
except sm.exceptions.ResourceNotFoundException as e:
    print("missing", e.response["Error"]["Code"])
sts = boto3.client("sts", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
c = sts.assume_role(RoleArn="arn:aws:iam::123456789012:role/r", RoleSessionName="kz")["Credentials"]
sm = boto3.client("secretsmanager", endpoint_url=os.environ["AWS_ENDPOINT_URL"], aws_access_key_id=c["AccessKeyId"],
    aws_secret_access_key=c["SecretAccessKey"], aws_session_token=c["SessionToken"])
print("role", sm.get_secret_value(SecretId="a")["SecretString"])
`

func TestBoto3(t *testing.T) {
	t.Parallel()
	need(t, "/usr/bin/python3", "-c", "import boto3")
	front, _ := start(t, `{"a":"one"}`)
	out, err := client(t, environment(front, t.TempDir()), "/usr/bin/python3", "-c", boto3)
	if err != nil || out != "value one\nmissing ResourceNotFoundException\nrole one\n" {
		t.Errorf("%v: %s", err, out)
	}
}

func TestControl(t *testing.T) {
	t.Parallel()
	need(t, "/usr/bin/python3", "-c", "import boto3")
	front, back := start(t, `{"a":"one"}`)
	send := func(method, path, body string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, back+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode >= 300 {
			t.Fatalf("%s %s: %d %s %v", method, path, resp.StatusCode, b, err)
		}
		return string(b)
	}
	get := func(id string) (string, error) {
		out, err := client(t, environment(front, t.TempDir(), "AWS_MAX_ATTEMPTS=1"), "/usr/bin/python3", "-c",
			`import boto3,os,sys; print(boto3.client("secretsmanager", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).get_secret_value(SecretId=sys.argv[1])["SecretString"])`, id)
		return strings.TrimSpace(out), err
	}
	send("PUT", "/secrets?name=a", "two")
	if out, err := get("a"); err != nil || out != "two" {
		t.Errorf("after a change: %s %v", out, err)
	}
	if arn := send("GET", "/arn?name=a", ""); !strings.HasPrefix(arn, "arn:aws:secretsmanager:us-east-1:") {
		t.Errorf("arn %q", arn)
	}
	send("POST", "/failures", `{"Operation":"GetSecretValue","Code":"AccessDeniedException"}`)
	if out, err := get("a"); err == nil || !strings.Contains(out, "AccessDenied") {
		t.Errorf("with a failure: %s %v", out, err)
	}
	send("PUT", "/delay?d=1h", "")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, "GET", front, nil)
	if _, err := http.DefaultClient.Do(r); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a delay: %v", err)
	}
	send("DELETE", "/failures", "")
	send("DELETE", "/secrets?name=a", "")
	if out, err := get("a"); err == nil || !strings.Contains(out, "ResourceNotFound") {
		t.Errorf("after the end of it: %s %v", out, err)
	}
	if log := send("GET", "/requests", ""); !strings.Contains(log, `"code":"AccessDeniedException"`) {
		t.Errorf("log %s", log)
	}
}
