package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kz/test/bed"
	"kz/test/canary"
)

// TestHealthBeforeSlowStores asks a proxy that waits for a store, and goes on asking until it has ended.
func TestHealthBeforeSlowStores(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	slow := b.Path("store/slow")
	if err := syscall.Mkfifo(slow, 0o600); err != nil {
		t.Fatal(err)
	}
	value := canary.Value("k-")
	b.Backend("slow", `type = "exec"`, `command = "/bin/cat"`, `args = ["{id}"]`)
	b.Reference("API_KEY", value, `backend = "slow"`, `name = "`+slow+`"`, bound)
	file := b.Path("home/proxy.env")
	kz := b.StartKZ("proxy", "--config", b.WriteBundle(), "--audit", b.AuditFile(), "--env-file", file, "--ca-dir", b.Path("home/ca"), "--health", "0", "--metrics", "0")
	kz.Await("health on http://")
	found := regexp.MustCompile(`metrics and health on (http://127\.0\.0\.1:\d+)/healthz, /metrics, /readyz\n`).FindStringSubmatch(kz.Stderr())
	if found == nil {
		t.Fatalf("it says %s", kz.Stderr())
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	ask := func(path string) (int, string) {
		resp, err := client.Get(found[1] + path)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp.StatusCode, strings.TrimSpace(string(body)) + errorText(err)
	}
	if code, body := ask("/healthz"); code != 200 || body != `{"status":"starting"}` {
		t.Errorf("while the store is asked it is %d %s", code, body)
	}
	if code, body := ask("/readyz"); code != 503 || body != `{"status":"starting","backends":{"slow":{"secrets":1,"ok":0}}}` {
		t.Errorf("while the store is asked it is %d %s", code, body)
	}
	if err := os.WriteFile(slow, []byte(value), 0); err != nil { // the store answers
		t.Fatal(err)
	}
	bed.Eventually(t, "it is ready", func() bool { code, _ := ask("/readyz"); return code == 200 })
	if _, err := os.Stat(file); err != nil {
		t.Errorf("it is ready, and the env file is not there: %v", err)
	}
	if code, body := ask("/metrics"); code != 200 || !strings.Contains(body, "kz_retrievals_total{") {
		t.Errorf("its metrics are %d %s", code, body)
	}
	res := b.KZ("status", "--health", strings.TrimPrefix(found[1], "http://"))
	res.Succeeds(t)
	end := kz.Stop()
	end.Exits(t, 0)
	if code, _ := ask("/healthz"); code != 0 {
		t.Errorf("something answers after the end: %d", code)
	}
	b.Clean(res, end)
}

func errorText(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}

// TestContainerFilesAreRight has the files read by what Compose, Kubernetes and a build read theirs with.
func TestContainerFilesAreRight(t *testing.T) {
	t.Parallel()
	reader := bed.Manifests(t)
	for kind, c := range map[string]struct{ file, old, wrong string }{
		"compose":    {"compose.yaml", "group_add:", "groups_add:"},
		"kubernetes": {"kubernetes.yaml", "fsGroup:", "fsGroups:"},
		"dockerfile": {"Dockerfile", "ENTRYPOINT", "ENTRYPINT"},
	} {
		if out, err := exec.CommandContext(t.Context(), reader, kind, deployed(c.file)).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %s", c.file, err, out)
		}
		wrong := filepath.Join(t.TempDir(), c.file)
		if err := os.WriteFile(wrong, []byte(strings.Replace(deployedText(t, c.file), c.old, c.wrong, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if exec.CommandContext(t.Context(), reader, kind, wrong).Run() == nil {
			t.Errorf("%s with %s is right, too", c.file, c.wrong)
		}
	}
}

// TestTheDevcontainer holds devcontainer.json to what `kz help containers` says, and runs what it runs first.
func TestTheDevcontainer(t *testing.T) {
	t.Parallel()
	text := regexp.MustCompile(`(?m)^//.*\n`).ReplaceAllString(deployedText(t, "devcontainer/devcontainer.json"), "")
	var d struct {
		Name, Image       string
		InitializeCommand string
		RunArgs, Mounts   []string
		RemoteUser        string
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		t.Fatal(err)
	}
	if want := []string{"--network=kz", "--env-file=${localEnv:HOME}/.kz-agent/client.env", "--cap-drop=ALL", "--security-opt=no-new-privileges"}; !slices.Equal(d.RunArgs, want) {
		t.Errorf("it is run with %s", d.RunArgs)
	}
	if want := []string{"source=${localEnv:HOME}/.kz-agent/ca,target=/kz,type=bind,readonly"}; !slices.Equal(d.Mounts, want) {
		t.Errorf("it mounts %s", d.Mounts)
	}
	topic := exec.Command(bed.KZ(t), "help", "containers")
	topic.Env = []string{"HOME=" + t.TempDir()}
	printed, err := topic.Output()
	for _, path := range []string{"--env-file ~/.kz-agent/client.env", "--ca-dir ~/.kz-agent/ca", "--client-ca-dir /kz", "kz\n"} {
		if err != nil || !strings.Contains(string(printed), path) {
			t.Errorf("the topic lacks %s, %v", path, err)
		}
	}
	home := t.TempDir()
	first := func() (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "/bin/sh", "-c", d.InitializeCommand)
		cmd.Env = []string{"HOME=" + home, "PATH=" + bed.Path}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := first(); err == nil || out != "start kz proxy first: kz help containers\n" {
		t.Errorf("without a proxy: %q, %v", out, err)
	}
	file := filepath.Join(home, ".kz-agent", "client.env")
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte("A=b\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if out, err := first(); err != nil || out != "" {
		t.Errorf("with one: %q, %v", out, err)
	}
}
