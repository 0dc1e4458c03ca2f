package e2e_test

import (
	"strings"
	"testing"

	"kz/test/bed"
	"kz/test/origin"
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

const pythonURLLib3 = `
import os, urllib3
print(urllib3.PoolManager().request("GET", "https://api.test/echo", headers={"Authorization": "Bearer " + os.environ["API_KEY"]}, retries=False).data.decode())`

const pythonPycurl = `
import os, pycurl
c = pycurl.Curl()
c.setopt(c.URL, "https://api.test/echo")
c.setopt(c.HTTPHEADER, ["Authorization: Bearer " + os.environ["API_KEY"]])
c.perform()`

const pythonBoto3 = `
import boto3, sys
from botocore import UNSIGNED
from botocore.config import Config
config = Config(signature_version=UNSIGNED) if sys.argv[1:] == ["unsigned"] else None
s3 = boto3.client("s3", region_name="us-east-1", endpoint_url="https://api.test", config=config,
    **({} if config else {"aws_secret_access_key": "x", "aws_access_key_id": __import__("os").environ["AWS_ACCESS_KEY_ID"]}))
print(s3.list_buckets()["Owner"]["DisplayName"])`

// pythonRows are the clients in Python.
func pythonRows() []row {
	boto3 := func(args ...string) func(t *testing.T, c *attempt) []string {
		return func(t *testing.T, c *attempt) []string {
			c.bucketsOfNobody()
			return append([]string{bed.Python(t, "boto3"), "-c", pythonBoto3}, args...)
		}
	}
	aws := func(flag string) func(t *testing.T, c *attempt) []string {
		return func(t *testing.T, c *attempt) []string {
			c.bucketsOfNobody()
			return shell("AWS_SECRET_ACCESS_KEY=x AWS_REGION=us-east-1 /usr/bin/aws --endpoint-url https://api.test s3api list-buckets " + flag)
		}
	}
	return []row{
		{client: "Python urllib", version: func(t *testing.T) []string { return []string{bed.Python(t), "--version"} }, call: python(pythonURLLib)},
		{client: "requests", version: pythonVersion("requests"), call: python(pythonRequests, "requests")},
		{client: "httpx", version: pythonVersion("httpx"), call: python(pythonHTTPX, "httpx")},
		{client: "httpx, HTTP/2", version: pythonVersion("httpx"), call: python(pythonHTTPX2, "httpx", "h2")},
		{client: "aiohttp, trust_env=True", version: pythonVersion("aiohttp"), call: python(strings.Replace(pythonAIOHTTP, "TRUST", "trust_env=True", 1), "aiohttp")},
		{
			client: "aiohttp", version: pythonVersion("aiohttp"), call: python(strings.Replace(pythonAIOHTTP, "TRUST", "", 1), "aiohttp"),
			proxy: direct("goes direct: its sessions need trust_env=True", "Cannot connect to host api.test:443"), trust: notAsked, swap: notAsked,
		},
		{
			client: "urllib3", version: pythonVersion("urllib3"), call: python(pythonURLLib3, "urllib3"),
			proxy: direct("goes direct: it needs a ProxyManager; requests has one", "Failed to establish a new connection"), trust: notAsked, swap: notAsked,
		},
		{
			client: "pycurl", version: pythonVersion("pycurl"), call: python(pythonPycurl, "pycurl"),
			trust: failsWith("libcurl reads no variable for its roots, only the system's store", "certificate"), swap: notAsked,
		},
		{
			client: "boto3", version: pythonVersion("boto3"), call: boto3("unsigned"), path: "/", secret: "AWS_ACCESS_KEY_ID",
			swap: refusedWith(signed, "signature_unsupported", boto3()),
		},
		{
			client: "AWS CLI", version: func(*testing.T) []string { return []string{"/usr/bin/aws", "--version"} }, call: aws("--no-sign-request"),
			path: "/", secret: "AWS_ACCESS_KEY_ID", swap: refusedWith(signed, "signature_unsupported", aws("")),
		},
	}
}

// signed is the reason of clients that send what they made of a key.
const signed = "signs with the key, which a mask is not: signature_unsupported"

// bucketsOfNobody has the origin play S3's list.
func (c *attempt) bucketsOfNobody() {
	c.Origin.SetFile("/", origin.File{Type: "application/xml", Body: []byte(`<?xml version="1.0"?>
<ListAllMyBucketsResult><Owner><ID>1</ID><DisplayName>nobody</DisplayName></Owner><Buckets></Buckets></ListAllMyBucketsResult>`)})
}
