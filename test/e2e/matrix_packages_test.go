package e2e_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kz/test/bed"
	"kz/test/origin"
)

// packageRows are package managers. Each installs kz-demo 1.0.0 from a private index that the origin plays; what the index says
// of it holds the value, which is scrubbed. The settings of npm and cargo name another proxy, at which nothing is.
func packageRows() []row {
	return []row{
		{
			client: "pip", version: func(t *testing.T) []string { return []string{bed.Python(t, "pip"), "-m", "pip", "--version"} },
			call: pipCall, path: "/simple/kz-demo/", secret: "PIP_PASSWORD", carries: basicPassword, sees: reads,
		},
		{
			client: "poetry", version: told("poetry", "--version"), call: poetryCall,
			path: "/simple/kz-demo/", secret: "POETRY_HTTP_BASIC_KZ_PASSWORD", carries: basicPassword, sees: reads,
		},
		{
			client: "twine (uploads a wheel)", version: told("twine", "--version"), call: twineCall,
			path: "/legacy/", secret: "TWINE_PASSWORD", carries: basicPassword, sees: reads,
		},
		{client: "npm", version: told("npm", "--version"), call: npmCall, path: "/kz-demo", secret: "NPM_TOKEN", sees: reads},
		{
			client: "pnpm", version: func(t *testing.T) []string { return pnpm(t, "--version") }, call: pnpmCall,
			path: "/kz-demo", secret: "NPM_TOKEN", sees: reads,
		},
		{
			client: "yarn", version: func(t *testing.T) []string { return yarn(t, "--version") }, call: yarnCall,
			path: "/kz-demo", secret: "NPM_TOKEN", sees: reads,
		},
		{
			client: "yarn 1", version: func(t *testing.T) []string { return yarn1(t, "--version") }, call: yarn1Call,
			path: "/kz-demo", secret: "NPM_TOKEN", sees: reads,
		},
		{
			client: "composer", version: told("composer", "--version", "--no-interaction"), call: composerCall,
			path: "/packages.json", secret: "COMPOSER_PASSWORD", carries: basicPassword, sees: reads,
		},
		{
			client: "cargo", version: func(t *testing.T) []string { return []string{bed.Cargo(t), "--version"} },
			call: cargoCall, path: "/index/kz/-d/kz-demo", secret: "CARGO_REGISTRIES_KZ_TOKEN", sees: reads,
			carries: func(r origin.Record, value string) bool { return r.Header.Get("Authorization") == value },
		},
	}
}

// wheelName is the file of the one package that a Python index has here.
const wheelName = "kz_demo-1.0.0-py3-none-any.whl"

// demoWheel is that package (PEP 427).
func demoWheel(t *testing.T) []byte {
	t.Helper()
	const info = "kz_demo-1.0.0.dist-info/"
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, f := range [][2]string{
		{"kz_demo.py", "works = True\n"},
		{info + "METADATA", "Metadata-Version: 2.1\nName: kz-demo\nVersion: 1.0.0\n"},
		{info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{info + "RECORD", "kz_demo.py,,\n" + info + "METADATA,,\n" + info + "WHEEL,,\n" + info + "RECORD,,\n"},
	} {
		part, err := w.Create(f[0])
		if err == nil {
			_, err = part.Write([]byte(f[1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// playPyPI plays a simple repository (PEP 503) with one wheel in it.
func playPyPI(t *testing.T, c *attempt) {
	t.Helper()
	wheel := demoWheel(t)
	auth := "Basic " + base64.StdEncoding.EncodeToString([]byte("robot:"+c.value))
	page := fmt.Sprintf(`<!DOCTYPE html><!-- %s --><a href="/files/%s#sha256=%x">%s</a>`, c.value, wheelName, sha256.Sum256(wheel), wheelName)
	c.Origin.SetFile("/simple/kz-demo/", origin.File{Type: "text/html", Body: []byte(page), Auth: auth})
	c.Origin.SetFile("/files/"+wheelName, origin.File{Type: "application/octet-stream", Body: wheel, Auth: auth})
}

func pipCall(t *testing.T, c *attempt) []string {
	playPyPI(t, c)
	return shell(bed.Python(t, "pip") + ` -m pip install -q --disable-pip-version-check --target t --index-url "https://robot:$PIP_PASSWORD@api.test/simple" kz-demo
PYTHONPATH=t ` + bed.Python(t) + ` -c "import kz_demo"`)
}

func poetryCall(t *testing.T, c *attempt) []string {
	playPyPI(t, c)
	c.write(t, "pyproject.toml", `[tool.poetry]
name = "own"
version = "0.0.0"
description = ""
authors = []
[tool.poetry.dependencies]
python = ">=3.9"
kz-demo = "1.0.0"
[[tool.poetry.source]]
name = "kz"
url = "https://api.test/simple"
default = true
`)
	c.Env = append(c.Env, "POETRY_HTTP_BASIC_KZ_USERNAME=robot", "PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring", "POETRY_VIRTUALENVS_IN_PROJECT=true")
	return shell(bed.Program(t, "poetry") + ` install -q --no-root --no-interaction && .venv/bin/python -c "import kz_demo"`)
}

// twineCall uploads to an index as PyPI's old API has it (https://docs.pypi.org/api/upload).
func twineCall(t *testing.T, c *attempt) []string {
	auth := "Basic " + base64.StdEncoding.EncodeToString([]byte("robot:"+c.value))
	c.Origin.SetFile("/legacy/", origin.File{Type: "text/plain", Body: []byte("welcome, " + c.value + "\n"), Auth: auth})
	c.write(t, wheelName, string(demoWheel(t)))
	c.Env = append(c.Env, "TWINE_USERNAME=robot")
	return shell(bed.Program(t, "twine") + " upload --non-interactive --disable-progress-bar --repository-url https://api.test/legacy/ " + wheelName)
}

// playNPM plays a registry with one package, and has settings for it and for a project.
func playNPM(t *testing.T, c *attempt) {
	t.Helper()
	tgz := tarball(t, [][2]string{
		{"package/package.json", `{"name":"kz-demo","version":"1.0.0"}`},
		{"package/index.js", "module.exports = true\n"},
	})
	sum := sha512.Sum512(tgz)
	about, err := json.Marshal(map[string]any{
		"name": "kz-demo", "description": c.value, "dist-tags": map[string]string{"latest": "1.0.0"},
		"versions": map[string]any{"1.0.0": map[string]any{
			"name": "kz-demo", "version": "1.0.0",
			"dist": map[string]string{"tarball": "https://api.test/kz-demo/-/kz-demo-1.0.0.tgz", "integrity": "sha512-" + base64.StdEncoding.EncodeToString(sum[:])},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Origin.SetFile("/kz-demo", origin.File{Type: "application/json", Body: about, Auth: "Bearer " + c.value})
	c.Origin.SetFile("/kz-demo/-/kz-demo-1.0.0.tgz", origin.File{Type: "application/octet-stream", Body: tgz, Auth: "Bearer " + c.value})
	c.write(t, ".npmrc", "registry=https://api.test/\n//api.test/:_authToken=${NPM_TOKEN}\n"+
		"https-proxy=http://127.0.0.1:9\nproxy=http://127.0.0.1:9\naudit=false\nfund=false\nupdate-notifier=false\n")
	c.write(t, "package.json", `{"private":true}`)
}

func npmCall(t *testing.T, c *attempt) []string {
	playNPM(t, c)
	return shell(bed.Program(t, "npm") + " install kz-demo && test -f node_modules/kz-demo/index.js")
}

func pnpm(t *testing.T, args ...string) []string {
	return append([]string{bed.Node(t), filepath.Join(bed.NodeModules(t, "pnpm"), "pnpm/bin/pnpm.cjs")}, args...)
}

func pnpmCall(t *testing.T, c *attempt) []string {
	playNPM(t, c)
	return shell(strings.Join(pnpm(t), " ") + " add kz-demo && test -f node_modules/kz-demo/index.js")
}

func yarn(t *testing.T, args ...string) []string {
	return append([]string{bed.Node(t), filepath.Join(bed.NodeModules(t, "@yarnpkg/cli-dist"), "@yarnpkg/cli-dist/bin/yarn.js")}, args...)
}

func yarnCall(t *testing.T, c *attempt) []string {
	playNPM(t, c)
	c.write(t, ".yarnrc.yml", "npmRegistryServer: https://api.test\nnpmAlwaysAuth: true\nnpmMinimalAgeGate: 0\nnpmAuthToken: ${NPM_TOKEN}\nenableTelemetry: false\nnodeLinker: node-modules\n")
	c.write(t, "yarn.lock", "")
	return shell(strings.Join(yarn(t), " ") + " add kz-demo && test -f node_modules/kz-demo/index.js")
}

func yarn1(t *testing.T, args ...string) []string {
	return append([]string{bed.Node(t), filepath.Join(bed.NodeModules(t, "yarn1"), "yarn1/bin/yarn.js")}, args...)
}

// yarn1Call: it reads .npmrc, too, and sends no token for a name without a scope unless that says so.
func yarn1Call(t *testing.T, c *attempt) []string {
	playNPM(t, c)
	return shell("echo always-auth=true >>.npmrc && " + strings.Join(yarn1(t), " ") + " add --non-interactive kz-demo && test -f node_modules/kz-demo/index.js")
}

// composerCall plays a private repository of Composer (https://getcomposer.org/doc/05-repositories.md#packages).
func composerCall(t *testing.T, c *attempt) []string {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	part, err := w.Create("kz-demo/demo.php")
	if err == nil {
		_, err = part.Write([]byte("<?php\n"))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	about, err := json.Marshal(map[string]any{"packages": map[string]any{"kz/demo": map[string]any{"1.0.0": map[string]any{
		"name": "kz/demo", "version": "1.0.0", "description": c.value,
		"dist": map[string]string{"url": "https://api.test/kz-demo.zip", "type": "zip"},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	auth := "Basic " + base64.StdEncoding.EncodeToString([]byte("robot:"+c.value))
	c.Origin.SetFile("/packages.json", origin.File{Type: "application/json", Body: about, Auth: auth})
	c.Origin.SetFile("/kz-demo.zip", origin.File{Type: "application/zip", Body: buf.Bytes(), Auth: auth})
	c.write(t, "composer.json", `{"repositories":[{"type":"composer","url":"https://api.test"},{"packagist.org":false}],"require":{"kz/demo":"1.0.0"}}`)
	c.Env = append(c.Env, "COMPOSER_ALLOW_SUPERUSER=1")
	composer := bed.Program(t, "composer") + " --no-interaction "
	return shell(composer + `config --global http-basic.api.test robot "$COMPOSER_PASSWORD"
` + composer + "install && test -f vendor/kz/demo/demo.php")
}

// cargoCall plays a sparse registry with one crate (https://doc.rust-lang.org/cargo/reference/registry-index.html).
func cargoCall(t *testing.T, c *attempt) []string {
	crate := tarball(t, [][2]string{
		{"kz-demo-1.0.0/Cargo.toml", "[package]\nname = \"kz-demo\"\nversion = \"1.0.0\"\n"},
		{"kz-demo-1.0.0/src/lib.rs", ""},
	})
	about := fmt.Sprintf(`{"name":"kz-demo","vers":"1.0.0","deps":[],"cksum":"%x","features":{},"yanked":false,"note":%q}`+"\n", sha256.Sum256(crate), c.value)
	c.Origin.SetFile("/index/config.json", origin.File{Type: "application/json", Body: []byte(`{"dl":"https://api.test/dl/{crate}-{version}.crate","auth-required":true}`), Auth: c.value})
	c.Origin.SetFile("/index/kz/-d/kz-demo", origin.File{Type: "text/plain", Body: []byte(about), Auth: c.value})
	c.Origin.SetFile("/dl/kz-demo-1.0.0.crate", origin.File{Type: "application/octet-stream", Body: crate, Auth: c.value})
	c.write(t, "Cargo.toml", "[package]\nname = \"own\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[lib]\npath = \"lib.rs\"\n\n[dependencies]\nkz-demo = { version = \"1\", registry = \"kz\" }\n\n"+
		"[workspace]\n")
	c.write(t, "lib.rs", "")
	if err := os.Mkdir(c.Path("home/.cargo"), 0o700); err != nil {
		t.Fatal(err)
	}
	c.write(t, ".cargo/config.toml", "[http]\nproxy = \"127.0.0.1:9\"\n\n[registry]\nglobal-credential-providers = [\"cargo:token\"]\n\n"+
		"[registries.kz]\nindex = \"sparse+https://api.test/index/\"\n")
	cargo := bed.Cargo(t)
	return shell("PATH=" + filepath.Dir(cargo) + `:$PATH cargo fetch -q && test -d .cargo/registry/src/*/kz-demo-1.0.0`)
}

// tarball packs files, of name and content.
func tarball(t *testing.T, files [][2]string) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	w := tar.NewWriter(z)
	for _, f := range files {
		err := w.WriteHeader(&tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1]))})
		if err == nil {
			_, err = w.Write([]byte(f[1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
