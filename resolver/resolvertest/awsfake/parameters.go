package awsfake

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// maxNames is how many parameters one GetParameters may name.
const maxNames = 10

// parameter is one of Systems Manager; version n is values[n-1].
type parameter struct {
	name, arn, kind, key string
	values               []string
	labels               map[string]int
}

// defaultKey is what a write that names no key is encrypted with.
const defaultKey = "alias/aws/ssm"

// PutParameter sets a SecureString, making it when it is new, and returns its version.
func (s *Server) PutParameter(name, value string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.putParameterLocked(name, "SecureString", defaultKey, value)
}

// PutPlainParameter is PutParameter for a parameter of type String.
func (s *Server) PutPlainParameter(name, value string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.putParameterLocked(name, "String", "", value)
}

// LabelParameter gives a version a label.
func (s *Server) LabelParameter(name, label string, version int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parameters[name].labels[label] = version
}

// Parameter is a parameter's newest value and its type; both "" when there is none.
func (s *Server) Parameter(name string) (value, kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.parameters[name]; p != nil {
		return p.values[len(p.values)-1], p.kind
	}
	return "", ""
}

// SetParameterKey says with which KMS key a parameter is encrypted.
func (s *Server) SetParameterKey(name, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parameters[name].key = key
}

// ParameterKey is the KMS key that a parameter is encrypted with.
func (s *Server) ParameterKey(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.parameters[name].key
}

// ParameterARN returns a parameter's ARN.
func (s *Server) ParameterARN(name string) string {
	return "arn:aws:ssm:" + s.opt.Region + ":" + s.opt.AccountID + ":parameter/" + strings.TrimPrefix(name, "/")
}

func (s *Server) putParameterLocked(name, kind, key, value string) int {
	p := s.parameters[name]
	if p == nil {
		p = &parameter{name: name, arn: s.ParameterARN(name), labels: map[string]int{}}
		s.parameters[name] = p
	}
	p.kind, p.key = kind, key
	p.values = append(p.values, value)
	return len(p.values)
}

type parameterInput struct {
	Name           string
	Names          []string
	WithDecryption bool
	Value, Type    string
	KeyID          string `json:"KeyId"`
	Overwrite      bool
	MaxResults     *int
	NextToken      string
	Filters        []parameterFilter `json:"ParameterFilters"`
}

type parameterFilter struct {
	Key, Option string
	Values      []string
}

func (s *Server) ssm(c *call) (any, *fault) {
	var in parameterInput
	if err := json.Unmarshal(c.body, &in); err != nil {
		return nil, &fault{status: 400, code: "SerializationException", message: "Start of structure or map found where not expected."}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch c.op {
	case "GetParameter":
		p, f := s.parameterLocked(in.Name, in.WithDecryption)
		if f != nil {
			return nil, f
		}
		return map[string]any{"Parameter": p}, nil
	case "GetParameters":
		return s.parametersLocked(in)
	case "PutParameter":
		return s.writeParameterLocked(in)
	case "DescribeParameters":
		return s.describeParametersLocked(in)
	}
	return nil, &fault{status: 400, code: "UnknownOperationException"}
}

func (s *Server) parameterLocked(id string, decrypt bool) (map[string]any, *fault) {
	name, selector := id, ""
	if rest, ok := strings.CutPrefix(id, s.ParameterARN("")); ok {
		name = rest
		if strings.Contains(rest, "/") {
			name = "/" + rest
		}
	}
	if before, after, ok := strings.Cut(name, ":"); ok {
		name, selector = before, after
	}
	p := s.parameters[name]
	if p == nil && !strings.Contains(name, "/") {
		p = s.parameters["/"+name] // an ARN does not tell /a from a
	}
	if p == nil {
		return nil, &fault{status: 400, code: "ParameterNotFound"}
	}
	n := len(p.values)
	if selector != "" {
		var err error
		if n, err = strconv.Atoi(selector); err != nil {
			n = p.labels[selector]
		}
		if n < 1 || n > len(p.values) {
			return nil, &fault{status: 400, code: "ParameterVersionNotFound", message: "Systems Manager could not find version " + selector + " of " + name}
		}
	}
	value := p.values[n-1]
	if p.kind == "SecureString" && !decrypt {
		value = "AQICAHgAbsentDecryption" // what it is encrypted to
	}
	out := map[string]any{"Name": p.name, "ARN": p.arn, "Type": p.kind, "Value": value, "Version": n, "DataType": "text", "LastModifiedDate": float64(s.opt.Now().Unix())}
	if selector != "" {
		out["Selector"] = ":" + selector
	}
	return out, nil
}

func (s *Server) parametersLocked(in parameterInput) (any, *fault) {
	if n := len(in.Names); n == 0 || n > maxNames {
		return nil, &fault{status: 400, code: "ValidationException", message: "Value at 'names' failed to satisfy constraint: Member must have length less than or equal to 10"}
	}
	found, invalid := []any{}, []string{}
	for _, name := range in.Names {
		p, f := s.parameterLocked(name, in.WithDecryption)
		if f != nil {
			invalid = append(invalid, name)
			continue
		}
		found = append(found, p)
	}
	slices.Reverse(found) // the order is not promised: a client must not depend on it
	return map[string]any{"Parameters": found, "InvalidParameters": invalid}, nil
}

// maxParameter is the longest value of the standard tier.
const maxParameter = 4096

func (s *Server) writeParameterLocked(in parameterInput) (any, *fault) {
	old := s.parameters[in.Name]
	switch {
	case in.Name == "" || strings.Contains(in.Name, ":") || strings.Contains(in.Name, "/") && in.Name[0] != '/':
		return nil, &fault{status: 400, code: "ValidationException", message: "Parameter name must be a fully qualified name."}
	case in.Value == "" || len(in.Value) > maxParameter:
		return nil, &fault{status: 400, code: "ValidationException", message: "Standard tier parameters support a maximum parameter value of 4096 characters."}
	case old != nil && !in.Overwrite:
		return nil, &fault{status: 400, code: "ParameterAlreadyExists"}
	case old == nil && in.Type == "":
		return nil, &fault{status: 400, code: "ValidationException", message: "A parameter type is required when you create a parameter."}
	case old != nil && in.Type != "" && in.Type != old.kind:
		return nil, &fault{status: 400, code: "HierarchyTypeMismatchException"}
	case in.Type == "":
		in.Type = old.kind
	}
	switch {
	case in.Type != "SecureString" && in.KeyID != "":
		return nil, &fault{status: 400, code: "ValidationException", message: "KeyId is required for SecureString type parameter only."}
	case in.Type == "SecureString" && in.KeyID == "":
		in.KeyID = defaultKey
	}
	return map[string]any{"Version": s.putParameterLocked(in.Name, in.Type, in.KeyID, in.Value), "Tier": "Standard"}, nil
}

func (s *Server) describeParametersLocked(in parameterInput) (any, *fault) {
	size := 10
	if in.MaxResults != nil {
		size = *in.MaxResults
	}
	if size < 1 || size > 50 {
		return nil, &fault{status: 400, code: "ValidationException"}
	}
	names := make([]string, 0, len(s.parameters))
	for _, f := range in.Filters {
		if f.Key != "Name" || f.Option != "" && f.Option != "Equals" {
			return nil, &fault{status: 400, code: "InvalidFilterKey"}
		}
	}
	for name := range s.parameters {
		if !slices.ContainsFunc(in.Filters, func(f parameterFilter) bool { return !slices.Contains(f.Values, name) }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(in.Filters) > 0 && in.NextToken == "" { // as AWS does, which looks for a while and then lets one ask again
		return map[string]any{"Parameters": []any{}, "NextToken": "0"}, nil
	}
	from, _ := strconv.Atoi(in.NextToken)
	from = min(max(from, 0), len(names))
	to := min(from+size, len(names))
	list := []any{}
	for _, name := range names[from:to] {
		p := s.parameters[name]
		entry := map[string]any{"Name": name, "ARN": p.arn, "Type": p.kind, "Version": len(p.values), "Tier": "Standard"}
		if p.key != "" {
			entry["KeyId"] = p.key
		}
		list = append(list, entry)
	}
	out := map[string]any{"Parameters": list}
	if to < len(names) {
		out["NextToken"] = strconv.Itoa(to)
	}
	return out, nil
}
