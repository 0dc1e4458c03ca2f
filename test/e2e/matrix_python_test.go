package e2e_test

import (
	"strings"
	"testing"

	"kz/test/bed"
)

// pythonVersion tells the version of a module.
func pythonVersion(module string) func(t *testing.T) []string {
	return func(t *testing.T) []string {
		return []string{bed.Python(t, module), "-c", "from importlib.metadata import version; print(version('" + module + "'))"}
	}
}

// python is a call by a text in Python.
func python(text string, modules ...string) func(t *testing.T, c *attempt) []string {
	return func(t *testing.T, _ *attempt) []string { return []string{bed.Python(t, modules...), "-c", text} }
}

const pythonAIOHTTP = `
import os, asyncio, aiohttp
async def main():
    async with aiohttp.ClientSession(TRUST) as s:
        async with s.get("https://api.test/echo", headers={"Authorization": "Bearer " + os.environ["API_KEY"]}) as r:
            print(await r.text())
asyncio.run(main())`

// pythonRows are the clients in Python.
func pythonRows() []row {
	aiohttp := direct("goes direct unless the program says trust_env=True", "Cannot connect to host api.test:443")
	return []row{
		{client: "Python urllib", version: func(t *testing.T) []string { return []string{bed.Python(t), "--version"} }, call: python(pythonURLLib)},
		{client: "requests", version: pythonVersion("requests"), call: python(pythonRequests, "requests")},
		{client: "httpx", version: pythonVersion("httpx"), call: python(pythonHTTPX, "httpx")},
		{client: "httpx (HTTP/2)", version: pythonVersion("httpx"), call: python(pythonHTTPX2, "httpx", "h2")},
		{client: "aiohttp, trust_env=True", version: pythonVersion("aiohttp"), call: python(strings.Replace(pythonAIOHTTP, "TRUST", "trust_env=True", 1), "aiohttp")},
		{
			client: "aiohttp", version: pythonVersion("aiohttp"), call: python(strings.Replace(pythonAIOHTTP, "TRUST", "", 1), "aiohttp"),
			proxy: aiohttp, trust: aiohttp, swap: aiohttp,
		},
	}
}
