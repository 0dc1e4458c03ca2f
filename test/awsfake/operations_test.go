package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kz/resolver/resolvertest/awsfake"
)

// batchModel teaches BatchGetSecretValue to botocore, and so to awscli, of before November 2023, as Debian's are: the
// operation as the API reference describes it. Signing, serializing and parsing stay botocore's own.
const batchModel = `{"version": 1.0, "merge": {
 "operations": {"BatchGetSecretValue": {"name": "BatchGetSecretValue", "http": {"method": "POST", "requestUri": "/"},
  "input": {"shape": "BatchGetSecretValueRequest"}, "output": {"shape": "BatchGetSecretValueResponse"}}},
 "shapes": {
  "KzIdList": {"type": "list", "member": {"shape": "SecretIdType"}},
  "BatchGetSecretValueRequest": {"type": "structure", "members": {"SecretIdList": {"shape": "KzIdList"}, "MaxResults": {"shape": "MaxResultsType"}, "NextToken": {"shape": "NextTokenType"}}},
  "KzEntry": {"type": "structure", "members": {"ARN": {"shape": "SecretARNType"}, "Name": {"shape": "SecretNameType"}, "VersionId": {"shape": "SecretVersionIdType"}, "SecretBinary": {"shape": "SecretBinaryType"}, "SecretString": {"shape": "SecretStringType"}, "VersionStages": {"shape": "SecretVersionStagesType"}, "CreatedDate": {"shape": "CreatedDateType"}}},
  "KzEntries": {"type": "list", "member": {"shape": "KzEntry"}},
  "KzError": {"type": "structure", "members": {"SecretId": {"shape": "SecretIdType"}, "ErrorCode": {"shape": "ErrorMessage"}, "Message": {"shape": "ErrorMessage"}}},
  "KzErrors": {"type": "list", "member": {"shape": "KzError"}},
  "BatchGetSecretValueResponse": {"type": "structure", "members": {"SecretValues": {"shape": "KzEntries"}, "NextToken": {"shape": "NextTokenType"}, "Errors": {"shape": "KzErrors"}}}
 }}}`

// model is the directory of batchModel, for AWS_DATA_PATH.
func model(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	sub := filepath.Join(dir, "secretsmanager", "2017-10-17")
	if err := os.MkdirAll(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(sub, "service-2.sdk-extras.json"), []byte(batchModel), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// steps are the operations that kz uses, each with what Debian's awscli gets from the fake: argument, part of the output.
var steps = []struct {
	name, want string
	fails      bool
	args       []string
}{
	{name: "CreateSecret", want: `"Name": "made"`, args: []string{"secretsmanager", "create-secret", "--name", "made", "--secret-string", "one"}},
	{name: "CreateSecret again", fails: true, want: "ResourceExistsException", args: []string{"secretsmanager", "create-secret", "--name", "made", "--secret-string", "one"}},
	{name: "PutSecretValue", want: "AWSCURRENT", args: []string{"secretsmanager", "put-secret-value", "--secret-id", "made", "--secret-string", "two"}},
	{name: "PutSecretValue of none", fails: true, want: "ResourceNotFoundException", args: []string{"secretsmanager", "put-secret-value", "--secret-id", "none", "--secret-string", "two"}},
	{name: "GetSecretValue", want: `"SecretString": "two"`, args: []string{"secretsmanager", "get-secret-value", "--secret-id", "made"}},
	{name: "GetSecretValue of a stage", want: `"SecretString": "one"`, args: []string{"secretsmanager", "get-secret-value", "--secret-id", "made", "--version-stage", "AWSPREVIOUS"}},
	{name: "GetSecretValue of a binary", want: `"SecretBinary": "AAH+/w=="`, args: []string{"secretsmanager", "get-secret-value", "--secret-id", "binary"}},
	{name: "BatchGetSecretValue", want: `"ErrorCode": "ResourceNotFoundException"`, args: []string{"secretsmanager", "batch-get-secret-value", "--secret-id-list", "made", "none", "binary"}},
	{name: "ListSecrets", want: `"Name": "binary"`, args: []string{"secretsmanager", "list-secrets", "--max-results", "1", "--no-paginate"}},
	{name: "DescribeSecret", want: `"VersionIdsToStages"`, args: []string{"secretsmanager", "describe-secret", "--secret-id", "made"}},

	{name: "PutParameter", want: `"Version": 1`, args: []string{"ssm", "put-parameter", "--name", "/made/key", "--value", "one", "--type", "SecureString"}},
	{name: "PutParameter again", fails: true, want: "ParameterAlreadyExists", args: []string{"ssm", "put-parameter", "--name", "/made/key", "--value", "two", "--type", "SecureString"}},
	{name: "PutParameter over it", want: `"Version": 2`, args: []string{"ssm", "put-parameter", "--name", "/made/key", "--value", "two", "--type", "SecureString", "--overwrite"}},
	{name: "PutParameter of another type", fails: true, want: "HierarchyTypeMismatch", args: []string{"ssm", "put-parameter", "--name", "/made/key", "--value", "two", "--type", "String", "--overwrite"}},
	{name: "GetParameter", want: `"Value": "two"`, args: []string{"ssm", "get-parameter", "--name", "/made/key", "--with-decryption"}},
	{name: "GetParameter of a version", want: `"Value": "one"`, args: []string{"ssm", "get-parameter", "--name", "/made/key:1", "--with-decryption"}},
	{name: "GetParameter of no version", fails: true, want: "ParameterVersionNotFound", args: []string{"ssm", "get-parameter", "--name", "/made/key:9", "--with-decryption"}},
	{name: "GetParameter of none", fails: true, want: "ParameterNotFound", args: []string{"ssm", "get-parameter", "--name", "/none"}},
	{name: "GetParameters", want: `"InvalidParameters": [` + "\n" + `        "/none"`, args: []string{"ssm", "get-parameters", "--names", "/none", "/made/key", "--with-decryption"}},
	{name: "DescribeParameters", want: `"Name": "/made/key"`, args: []string{"ssm", "describe-parameters", "--parameter-filters", "Key=Name,Values=/made/key"}},

	{name: "GetCallerIdentity", want: ":user/test", args: []string{"sts", "get-caller-identity"}},
	{name: "AssumeRole", want: `"Expiration"`, args: []string{"sts", "assume-role", "--role-arn", "arn:aws:iam::123456789012:role/r", "--role-session-name", "kz",
		"--external-id", "ext", "--duration-seconds", "900", "--policy", `{"Version":"2012-10-17","Statement":[]}`}},
	{name: "AssumeRole without the external id", fails: true, want: "AccessDenied", args: []string{"sts", "assume-role", "--role-arn", "arn:aws:iam::123456789012:role/r", "--role-session-name", "kz"}},
	{name: "AssumeRole for ten days", fails: true, want: "ValidationError", args: []string{"sts", "assume-role", "--role-arn", "arn:aws:iam::123456789012:role/r", "--role-session-name", "kz", "--external-id", "ext", "--duration-seconds", "901000"}},
	{name: "AssumeRoleWithWebIdentity", want: `"SessionToken"`, args: []string{"sts", "assume-role-with-web-identity", "--role-arn", "arn:aws:iam::123456789012:role/r", "--role-session-name", "kz", "--web-identity-token", awsfake.WebToken}},
	{name: "AssumeRoleWithWebIdentity with another token", fails: true, want: "InvalidIdentityToken", args: []string{"sts", "assume-role-with-web-identity", "--role-arn", "arn:aws:iam::123456789012:role/r", "--role-session-name", "kz", "--web-identity-token", "other"}},
}

// TestAWSCLIAgrees has Debian's awscli, which shares no code with the fake, do all that kz does. The steps go one after the
// other in one process: each start of it takes a second.
func TestAWSCLIAgrees(t *testing.T) {
	t.Parallel()
	need(t, "/usr/bin/aws", "--version")
	fake, front := startWith(t, awsfake.Options{ExternalID: "ext", WebIdentityToken: awsfake.WebToken})
	fake.PutBinary("binary", []byte{0, 1, 254, 255})
	var argv [][]string
	for _, s := range steps {
		argv = append(argv, append([]string{"--endpoint-url", front}, s.args...))
	}
	list, err := json.Marshal(argv)
	if err != nil {
		t.Fatal(err)
	}
	out, err := client(t, environment(front, t.TempDir(), "AWS_DATA_PATH="+model(t), "AWS_MAX_ATTEMPTS=1"), "/usr/bin/python3", "-c", driver, string(list))
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var results []struct {
		Code   int
		Output string
	}
	if err := json.Unmarshal([]byte(out), &results); err != nil || len(results) != len(steps) {
		t.Fatalf("%v: %s", err, out)
	}
	for i, s := range steps {
		if r := results[i]; (r.Code != 0) != s.fails || !strings.Contains(r.Output, s.want) {
			t.Errorf("%s: exit code %d: %s", s.name, r.Code, r.Output)
		}
	}
	for _, r := range fake.Requests() {
		if r.Operation == "AssumeRoleWithWebIdentity" && r.AccessKeyID != "" {
			t.Error("awscli signs what needs no signature") // and the fake would not have seen that it need not
		}
	}
}

// driver runs Debian's awscli several times in one process.
const driver = `
import contextlib, io, json, sys
import awscli.clidriver
results = []
for args in json.loads(sys.argv[1]):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            code = awscli.clidriver.create_clidriver().main(args)
        except SystemExit as e:
            code = e.code
    results.append({"Code": code or 0, "Output": out.getvalue()})
json.dump(results, sys.stdout)
`

const boto3Operations = `
import boto3, botocore, os
url = os.environ["AWS_ENDPOINT_URL"]
def code(call, **args):
    try:
        call(**args)
    except botocore.exceptions.ClientError as e:
        return e.response["Error"]["Code"]
sm, ssm, sts = (boto3.client(s, endpoint_url=url) for s in ("secretsmanager", "ssm", "sts"))
sm.create_secret(Name="made", SecretString="one")
sm.put_secret_value(SecretId="made", SecretString="two")
b = sm.batch_get_secret_value(SecretIdList=["made", "none", "binary"])
print("batch", sorted((v["Name"], v.get("SecretString") or v["SecretBinary"]) for v in b["SecretValues"]), [(e["SecretId"], e["ErrorCode"]) for e in b["Errors"]])
print("batch of 21", code(sm.batch_get_secret_value, SecretIdList=["x%d" % i for i in range(21)]))
print("stage", sm.get_secret_value(SecretId="made", VersionStage="AWSPREVIOUS")["SecretString"])
print("put", ssm.put_parameter(Name="/made/key", Value="one", Type="SecureString")["Version"], code(ssm.put_parameter, Name="a/b", Value="x", Type="String"))
p = ssm.get_parameters(Names=["/none", "/made/key:1"], WithDecryption=True)
print("get", [(v["Name"], v["Selector"], v["Value"], v["Version"]) for v in p["Parameters"]], p["InvalidParameters"])
print("encrypted", ssm.get_parameter(Name="/made/key")["Parameter"]["Value"] != "one")
arn = ssm.get_parameter(Name="/made/key", WithDecryption=True)["Parameter"]["ARN"]
print("arn", ssm.get_parameter(Name=arn, WithDecryption=True)["Parameter"]["Value"])
print("11 names", code(ssm.get_parameters, Names=["/x%d" % i for i in range(11)]))
c = sts.assume_role(RoleArn="arn:aws:iam::123456789012:role/r", RoleSessionName="kz", ExternalId="ext")["Credentials"]
keys = dict(aws_access_key_id=c["AccessKeyId"], aws_secret_access_key=c["SecretAccessKey"], aws_session_token=c["SessionToken"])
print("role", boto3.client("ssm", endpoint_url=url, **keys).get_parameter(Name="/made/key", WithDecryption=True)["Parameter"]["Value"])
print("other role", code(boto3.client("sts", endpoint_url=url, **dict(keys, aws_session_token="x")).get_caller_identity))
print("policy", code(sts.assume_role, RoleArn="arn:aws:iam::123456789012:role/r", RoleSessionName="kz", ExternalId="ext", Policy="{"))
`

const boto3Agrees = `batch [('binary', b'\x00\x01\xfe\xff'), ('made', 'two')] [('none', 'ResourceNotFoundException')]
batch of 21 ValidationException
stage one
put 1 ValidationException
get [('/made/key', ':1', 'one', 1)] ['/none']
encrypted True
arn one
11 names ValidationException
role one
other role InvalidClientTokenId
policy MalformedPolicyDocument
`

func TestBoto3Agrees(t *testing.T) {
	t.Parallel()
	need(t, "/usr/bin/python3", "-c", "import boto3")
	fake, front := startWith(t, awsfake.Options{ExternalID: "ext"})
	fake.PutBinary("binary", []byte{0, 1, 254, 255})
	out, err := client(t, environment(front, t.TempDir(), "AWS_DATA_PATH="+model(t), "AWS_MAX_ATTEMPTS=1"), "/usr/bin/python3", "-c", boto3Operations)
	if err != nil || out != boto3Agrees {
		t.Errorf("%v: %s", err, out)
	}
}

func TestBoto3LogsInAsAPodDoes(t *testing.T) {
	t.Parallel()
	need(t, "/usr/bin/python3", "-c", "import boto3")
	fake, front := startWith(t, awsfake.Options{ContainerToken: "pod-token"})
	fake.Put("a", "one")
	const read = `import boto3,os; print(boto3.client("secretsmanager", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).get_secret_value(SecretId="a")["SecretString"])`
	var env []string
	for _, e := range environment(front, t.TempDir(), "AWS_CONTAINER_CREDENTIALS_FULL_URI="+front+"/v1/credentials", "AWS_CONTAINER_AUTHORIZATION_TOKEN=pod-token") {
		if !strings.HasPrefix(e, "AWS_ACCESS_KEY_ID=") && !strings.HasPrefix(e, "AWS_SECRET_ACCESS_KEY=") {
			env = append(env, e)
		}
	}
	if out, err := client(t, env, "/usr/bin/python3", "-c", read); err != nil || out != "one\n" {
		t.Errorf("%v: %s", err, out)
	}
	if n := fake.Count("ContainerCredentials"); n != 1 {
		t.Errorf("the agent was asked %d times", n)
	}
}

// startWith serves a fake in this process.
func startWith(t *testing.T, o awsfake.Options) (fake *awsfake.Server, front string) {
	t.Helper()
	fake = awsfake.New(o)
	s, err := serve("127.0.0.1:0", http.Handler(fake))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.srv.Close() })
	return fake, "http://" + s.addr
}
