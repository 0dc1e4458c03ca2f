package e2e_test

import (
	"net/url"
	"strings"
	"testing"

	"kz/resolver/resolvertest/awsfake"
	"kz/test/bed"
	"kz/test/canary"
)

// TestSettingsOfAWS has nothing of AWS in kz's environment but a key: the rest is in the file.
func TestSettingsOfAWS(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	a := bed.NewAWS(t, awsfake.Options{Region: "eu-west-1", ExternalID: awsfake.ExternalID})
	b.Env = append(b.Env, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ACCESS_KEY_ID="+awsfake.DefaultKey.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+awsfake.DefaultKey.SecretAccessKey)
	place := []string{`region = "eu-west-1"`, `endpoint = "` + a.URL + `"`}
	b.Backend("sm", append(place, `type = "aws_secrets_manager"`)...)
	b.Backend("ssm", append(place, `type = "aws_ssm"`)...)
	b.Backend("sts", append(place, `type = "aws_sts"`, `role_arn = "`+awsfake.RoleARN+`"`, `session_name = "nightly"`, `external_id = "`+awsfake.ExternalID+`"`,
		`duration_seconds = 1800`, `session_policy = '{"Version":"2012-10-17"}'`)...)
	a.Put("s", "stored")
	a.PutParameter("/p", "parameter")
	b.Reference("S", "", `backend = "sm"`, `name = "s"`)
	b.Reference("P", "", `backend = "ssm"`, `name = "/p"`)
	b.Reference("ROLE", "", `backend = "sts"`, `field = "access_key_id"`)
	b.Reference("OTHER", "", `backend = "sts"`, `role_arn = "arn:aws:iam::123456789012:role/other"`, `session_name = "mine"`, `duration_seconds = 901`, `field = "access_key_id"`)
	res := b.RunPlain("/bin/sh", "-c", `echo "$S $P ${ROLE%%0*} ${OTHER%%0*}"`)
	res.Succeeds(t)
	if string(res.Stdout) != "stored parameter ASIA ASIA\n" {
		t.Errorf("%s", res.Stdout)
	}
	seen := map[string]bool{}
	for _, r := range a.Requests() {
		if r.Operation != "AssumeRole" {
			continue
		}
		form, err := url.ParseQuery(string(r.Input))
		if err != nil {
			t.Fatal(err)
		}
		seen[strings.Join([]string{form.Get("RoleArn"), form.Get("RoleSessionName"), form.Get("ExternalId"), form.Get("DurationSeconds"), form.Get("Policy")}, " ")] = true
	}
	for _, want := range []string{
		awsfake.RoleARN + " nightly " + awsfake.ExternalID + ` 1800 {"Version":"2012-10-17"}`,
		"arn:aws:iam::123456789012:role/other mine " + awsfake.ExternalID + ` 901 {"Version":"2012-10-17"}`,
	} {
		if !seen[want] {
			t.Errorf("%s was not asked for, but %v", want, seen)
		}
	}
}

// TestWhatIsSaidOfAWS has each service refuse, and repeat in its message all that it was given.
func TestWhatIsSaidOfAWS(t *testing.T) {
	t.Parallel()
	value := canary.Value("v-")
	for name, c := range map[string]struct {
		failure awsfake.Failure
		backend []string
		secret  []string
		hint    string
	}{
		"Secrets Manager": {awsfake.Failure{Operation: "GetSecretValue", Code: "AccessDeniedException"}, []string{`type = "aws_secrets_manager"`}, []string{`name = "prod/api"`},
			"secretsmanager:GetSecretValue"},
		"its key": {awsfake.Failure{Operation: "GetSecretValue", Code: "DecryptionFailure"}, []string{`type = "aws_secrets_manager"`}, []string{`name = "prod/api"`}, "kms:Decrypt"},
		"Parameter Store": {awsfake.Failure{Operation: "GetParameter", Code: "AccessDeniedException"}, []string{`type = "aws_ssm"`}, []string{`name = "/prod/api"`},
			"ssm:GetParameter"},
		"STS": {awsfake.Failure{Operation: "AssumeRole", Code: "AccessDenied", Status: 403}, []string{`type = "aws_sts"`, `external_id = "` + awsfake.ExternalID + `"`},
			[]string{`role_arn = "` + awsfake.RoleARN + `"`}, "sts:AssumeRole"},
		"STS at a login": {awsfake.Failure{Operation: "AssumeRole", Code: "AccessDenied", Status: 403},
			[]string{`type = "aws_ssm"`, `auth = "role"`, `role_arn = "` + awsfake.RoleARN + `"`, `external_id = "` + awsfake.ExternalID + `"`}, []string{`name = "/prod/api"`}, "sts:AssumeRole"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, a := withAWS(t, awsfake.Options{})
			a.Put("prod/api", value)
			a.PutParameter("/prod/api", value)
			c.failure.Message, c.failure.Echo = value, true
			a.Fail(c.failure)
			for i, secret := range append(awsfake.Secrets(), value) {
				b.Watch(string(rune('a'+i)), secret)
			}
			b.Backend("aws", c.backend...)
			b.Reference("API_KEY", "", append(c.secret, `backend = "aws"`, `hosts = ["api.test"]`)...)
			b.Flags = append(b.Flags, "--log-level", "debug")
			for _, res := range []bed.Result{b.Run("/bin/true"), b.RunPlain("/bin/true"), b.KZ("status", "--config", b.WriteBundle())} {
				if res.Code == 0 || !strings.Contains(string(res.Stderr), "API_KEY") || !strings.Contains(string(res.Stderr), c.hint) {
					t.Errorf("exit code %d: %s", res.Code, res.Stderr)
				}
				b.Clean(res)
			}
		})
	}
}

func TestPutToAWS(t *testing.T) {
	t.Parallel()
	b, a := withAWS(t, awsfake.Options{})
	a.Put("prod/db", `{"password":"old","port":5432}`)
	a.PutParameter("/prod/key", "old")
	a.SetParameterKey("/prod/key", "alias/prod")
	b.Backend("sm", `type = "aws_secrets_manager"`)
	b.Backend("ssm", `type = "aws_ssm"`)
	b.Backend("sts", `type = "aws_sts"`)
	b.Reference("PASSWORD", "", `backend = "sm"`, `name = "prod/db"`, `field = "password"`)
	b.Reference("PORT", "", `backend = "sm"`, `name = "prod/db"`, `field = "port"`)
	b.Reference("NEW", "", `backend = "sm"`, `name = "prod/new"`)
	b.Reference("PARAMETER", "", `backend = "ssm"`, `name = "/prod/key"`)
	b.Reference("ROLE", "", `backend = "sts"`, `role_arn = "`+awsfake.RoleARN+`"`)
	file := b.WriteBundle()
	put := func(name, value string) bed.Result {
		p := b.StartKZ("put", name, "--config", file)
		if _, err := p.Stdin.Write([]byte(value + "\n")); err != nil {
			t.Fatal(err)
		}
		res := p.Wait()
		b.Clean(res)
		return res
	}
	var values []string
	for _, name := range []string{"PASSWORD", "NEW", "PARAMETER"} {
		values = append(values, canary.Value("v-"))
		b.Watch(name, values[len(values)-1])
		put(name, values[len(values)-1]).Succeeds(t)
	}
	put("ROLE", values[0]).Exits(t, 125)
	res := b.KZ("run", "--config", file, "--", "/bin/sh", "-c", `test "$PASSWORD $NEW $PARAMETER $PORT" = "$1 $2 $3 5432" && echo same`, "sh", values[0], values[1], values[2])
	res.Succeeds(t)
	if key := a.ParameterKey("/prod/key"); key != "alias/prod" {
		t.Errorf("the parameter is under the key %s now", key)
	}
}
