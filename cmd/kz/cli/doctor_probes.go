package cli

import "strings"

// probe is how a runtime is made to call the doctor's API, as any program in it would.
type probe struct {
	name     string   // its row
	programs []string // what it is called on PATH; the first that is there is taken
	version  []string // nil: --version
	files    map[string]string
	argv     func(c call) []string
	env      func(c call) []string // nil: nothing more
	unsigned bool                  // it is given no token, so that nothing is swapped

	direct   string // what mends that it does not come to the proxy
	distrust string // what mends that it does not trust the CA
}

// call is what one probe asks for.
type call struct{ url, host, mask, dir string }

// exitNothing is how a probe says that there is nothing to probe, as automake's tests do.
const exitNothing = 77

const pythonHead = "import os, sys\nkey = os.environ['" + doctorKey + "']\nheaders = {'Authorization': 'Bearer ' + key}\n"

const urllibProbe = pythonHead + `import urllib.request
print(urllib.request.urlopen(urllib.request.Request(sys.argv[1], headers=headers), timeout=25).read())`

const requestsProbe = pythonHead + `try:
    import requests
except ImportError:
    sys.exit(77)
print(requests.get(sys.argv[1], headers=headers, timeout=25).text)`

const httpxProbe = pythonHead + `try:
    import httpx
except ImportError:
    sys.exit(77)
print(httpx.get(sys.argv[1], headers=headers, timeout=25).text)`

const aiohttpProbe = pythonHead + `try:
    import aiohttp, asyncio
except ImportError:
    sys.exit(77)
async def main():
    async with aiohttp.ClientSession(trust_env=True) as s:
        async with s.get(sys.argv[1], headers=headers) as r:
            print(await r.text())
asyncio.run(main())`

// fetchProbe runs in Node, bun and deno.
const fetchProbe = `const key = globalThis.Deno ? Deno.env.get("` + doctorKey + `") : process.env.` + doctorKey + `;
fetch("%s", {headers: {Authorization: "Bearer " + key}}).then(r => r.text()).then(t => console.log(t))`

const rubyProbe = `require "net/http"
puts Net::HTTP.get(URI(ARGV[0]), {"Authorization" => "Bearer " + ENV["` + doctorKey + `"]})`

const javaProbe = `import java.net.*;
public class Probe {
    public static void main(String[] args) throws Exception {
        HttpURLConnection c = (HttpURLConnection) new URL(args[0]).openConnection();
        c.setConnectTimeout(25000);
        c.setReadTimeout(25000);
        c.setRequestProperty("Authorization", "Bearer " + System.getenv("` + doctorKey + `"));
        byte[] b = new byte[4096];
        System.out.println(new String(b, 0, Math.max(0, c.getInputStream().read(b)), "UTF-8"));
    }
}`

func script(text string, before ...string) func(call) []string {
	return func(c call) []string { return append(append(before, text), c.url) }
}

func python(name, program string) probe {
	return probe{name: name, programs: []string{"python3", "python"}, argv: script(program, "-c"),
		direct:   "look for proxies that sitecustomize, a .pth file or a configuration of that Python sets",
		distrust: "look for roots that are set for it alone, as the packages truststore and pip-system-certs do, and remove them"}
}

// probes are the runtimes and tools that are tried, in the order of the report.
func probes() []probe {
	const environmentFirst = "; what it is given by kz is HTTPS_PROXY"
	return []probe{
		{name: "curl", programs: []string{"curl"},
			argv: func(c call) []string {
				return []string{"-sS", "--max-time", "25", "-H", "Authorization: Bearer " + c.mask, c.url}
			},
			direct:   "take proxy and noproxy out of ~/.curlrc" + environmentFirst,
			distrust: "take cacert and capath out of ~/.curlrc; what it is given by kz is CURL_CA_BUNDLE"},
		{name: "wget", programs: []string{"wget"},
			argv: func(c call) []string {
				return []string{"-q", "-O", "-", "--tries=1", "--timeout=25", "--header=Authorization: Bearer " + c.mask, c.url}
			},
			direct:   "take use_proxy and the proxies out of ~/.wgetrc" + environmentFirst,
			distrust: "take ca_certificate and ca_directory out of ~/.wgetrc; what it is given by kz is WGETRC"},
		{name: "git", programs: []string{"git"},
			argv: func(c call) []string {
				return []string{"-c", "http.extraHeader=Authorization: Bearer " + c.mask, "ls-remote", c.url + "repo.git"}
			},
			env:      func(call) []string { return []string{"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=true"} },
			direct:   "`git config --global --unset http.proxy`" + environmentFirst,
			distrust: "`git config --global --unset http.sslCAInfo`; what it is given by kz is GIT_SSL_CAINFO"},
		python("Python urllib", urllibProbe), python("Python requests", requestsProbe), python("Python httpx", httpxProbe), python("Python aiohttp (trust_env)", aiohttpProbe),
		{name: "pip", programs: []string{"pip3", "pip"},
			argv: func(c call) []string {
				return []string{"--disable-pip-version-check", "--no-input", "--retries", "0", "--timeout", "25", "download", "--no-deps", "--no-cache-dir",
					"-d", c.dir, "-i", "https://kz:" + c.mask + "@" + c.host + "/simple", "kz-doctor-probe"}
			},
			direct:   "`pip config unset global.proxy`" + environmentFirst,
			distrust: "`pip config unset global.cert`; what it is given by kz is PIP_CERT"},
		{name: "Node fetch", programs: []string{"node", "nodejs"},
			argv:     fetches("-e"),
			direct:   "use Node 22.21, 24 or newer, which obey NODE_USE_ENV_PROXY; `kz help runtimes` says what older ones need",
			distrust: "do not start it with --use-openssl-ca or --use-system-ca; what it is given by kz is NODE_EXTRA_CA_CERTS"},
		{name: "npm", programs: []string{"npm"},
			argv: func(c call) []string {
				return []string{"view", "kz-doctor-probe", "--registry=" + c.url, "--//" + c.host + "/:_authToken=" + c.mask, "--fetch-retries=0", "--cache=" + c.dir + "/npm", "--no-update-notifier"}
			},
			direct:   "`npm config delete proxy https-proxy noproxy`" + environmentFirst,
			distrust: "`npm config delete ca cafile`; what it is given by kz is npm_config_cafile"},
		{name: "bun", programs: []string{"bun"}, argv: fetches("-e"),
			direct: "update bun: versions before 1.1 do not read HTTPS_PROXY", distrust: "update bun: versions before 1.1.22 do not read NODE_EXTRA_CA_CERTS"},
		{name: "deno", programs: []string{"deno"}, argv: fetches("eval"), env: func(c call) []string { return []string{"DENO_DIR=" + c.dir + "/deno", "DENO_NO_UPDATE_CHECK=1"} },
			direct: "update deno, which reads HTTPS_PROXY", distrust: "do not start it with --cert; what it is given by kz is DENO_CERT"},
		{name: "Go (go command)", programs: []string{"go"}, version: []string{"version"},
			argv: func(call) []string { return []string{"list", "-m", "doctor.test/probe@latest"} },
			env: func(c call) []string {
				return []string{"GOPROXY=https://kz:" + c.mask + "@" + c.host, "GOENV=off", "GOFLAGS=-modcacherw", "GOSUMDB=off", "GOTOOLCHAIN=local", "GOMODCACHE=" + c.dir + "/go", "GOWORK=off", "GO111MODULE=on"}
			},
			direct:   "a program that sets a transport of its own must set Proxy: http.ProxyFromEnvironment",
			distrust: "on macOS and Windows a Go program trusts what the system trusts: `kz ca install`"},
		{name: "cargo", programs: []string{"cargo"}, unsigned: true,
			argv: func(call) []string { return []string{"search", "kz-doctor-probe", "--registry", "doctor"} },
			env: func(c call) []string {
				return []string{"CARGO_REGISTRIES_DOCTOR_INDEX=sparse+" + c.url, "CARGO_HOME=" + c.dir + "/cargo", "CARGO_NET_RETRY=0"}
			},
			direct:   "take [http] proxy out of ~/.cargo/config.toml" + environmentFirst,
			distrust: "take [http] cainfo out of ~/.cargo/config.toml; what it is given by kz is CARGO_HTTP_CAINFO"},
		{name: "Ruby", programs: []string{"ruby"}, argv: script(rubyProbe, "-e"),
			direct: "take proxies out of RUBYOPT and of what it requires" + environmentFirst, distrust: "its OpenSSL reads SSL_CERT_FILE; look for what sets another file in RUBYOPT"},
		{name: "Java", programs: []string{"java"}, version: []string{"-version"}, files: map[string]string{"Probe.java": javaProbe},
			argv:     func(c call) []string { return []string{"-XX:TieredStopAtLevel=1", c.dir + "/Probe.java", c.url} },
			direct:   "a JVM takes its proxy from JAVA_TOOL_OPTIONS, which kz sets: take http.proxyHost and https.proxyHost out of the program's own options; see `kz help runtimes`",
			distrust: "take javax.net.ssl.trustStore out of the program's own options: what kz sets stands in JAVA_TOOL_OPTIONS; see `kz help runtimes`"},
		{name: "gh", programs: []string{"gh"},
			argv: func(c call) []string { return []string{"api", "--hostname", c.host, "user"} },
			env: func(c call) []string {
				return []string{"GH_ENTERPRISE_TOKEN=" + c.mask, "GH_NO_UPDATE_NOTIFIER=1", "GH_CONFIG_DIR=" + c.dir + "/gh"}
			},
			direct: "unset http_unix_socket: `gh config set http_unix_socket ''`", distrust: "on macOS and Windows gh trusts what the system trusts: `kz ca install`"},
		{name: "aws", programs: []string{"aws"}, unsigned: true,
			argv: func(c call) []string {
				return []string{"--no-sign-request", "--endpoint-url", c.url, "--region", "us-east-1", "--cli-read-timeout", "25", "--cli-connect-timeout", "25", "s3api", "list-buckets"}
			},
			env:      func(call) []string { return []string{"AWS_MAX_ATTEMPTS=1", "AWS_EC2_METADATA_DISABLED=true"} },
			direct:   "it reads HTTPS_PROXY; look for a wrapper or alias that unsets it",
			distrust: "take ca_bundle out of ~/.aws/config; what it is given by kz is AWS_CA_BUNDLE"},
	}
}

// fetches runs fetchProbe, whose address stands in it: each runtime counts arguments otherwise.
func fetches(how string) func(call) []string {
	return func(c call) []string { return []string{how, strings.Replace(fetchProbe, "%s", c.url, 1)} }
}
