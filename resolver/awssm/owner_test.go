package awssm

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"kz/resolver"
)

func TestOwner(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:secretsmanager:us-east-1:111111111111:secret:"
	entry := func(name, arn string) types.SecretValueEntry { return types.SecretValueEntry{Name: &name, ARN: &arn} }
	for name, c := range map[string]struct {
		id    string
		entry types.SecretValueEntry
		want  bool
	}{
		"a name":                                {"db", entry("db", arn+"db-AbCdEf"), true},
		"another name":                          {"db", entry("db2", arn+"db2-AbCdEf"), false},
		"an ARN":                                {arn + "db-AbCdEf", entry("db", arn+"db-AbCdEf"), true},
		"an ARN without its suffix":             {arn + "db", entry("db", arn+"db-AbCdEf"), true},
		"an ARN that another begins with":       {arn + "db", entry("db-x", arn+"db-x-AbCdEf"), false},
		"an ARN of another account":             {"arn:aws:secretsmanager:us-east-1:222222222222:secret:db", entry("db", arn+"db-AbCdEf"), false},
		"an ARN with another suffix":            {arn + "db-ZZZZZZ", entry("db", arn+"db-AbCdEf"), false},
		"an entry that does not say what it is": {"db", types.SecretValueEntry{}, false},
	} {
		if _, got := owner([]resolver.Ref{{ID: c.id}}, c.entry); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
