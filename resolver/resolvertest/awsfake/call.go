package awsfake

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// call is one request on its way through the fake.
type call struct {
	service string // as signatures are scoped: "secretsmanager", "ssm" or "sts"; "" is none of them
	op      string
	body    []byte
	ids     []string // the secrets, parameters or roles that it names
	key     Key
	header  http.Header
}

// query reports whether the service speaks the query protocol: its answers are XML.
func (c *call) query() bool { return c.service == "sts" }

func parseCall(r *http.Request, body []byte) *call {
	c := &call{body: body, header: r.Header.Clone()}
	target := r.Header.Get("X-Amz-Target")
	if op, ok := strings.CutPrefix(target, "secretsmanager."); ok {
		c.service, c.op = "secretsmanager", op
		var in input
		if json.Unmarshal(body, &in) == nil {
			c.ids = named(in.SecretID, in.SecretIDList)
		}
		return c
	}
	if op, ok := strings.CutPrefix(target, "AmazonSSM."); ok {
		c.service, c.op = "ssm", op
		var in parameterInput
		if json.Unmarshal(body, &in) == nil {
			c.ids = named(in.Name, in.Names)
		}
		return c
	}
	if target != "" {
		return c
	}
	c.service = "sts"
	if form, err := url.ParseQuery(string(body)); err == nil {
		c.op = form.Get("Action")
		c.ids = named(form.Get("RoleArn"), nil)
	}
	return c
}

func named(one string, list []string) []string {
	if one != "" {
		return []string{one}
	}
	return list
}
