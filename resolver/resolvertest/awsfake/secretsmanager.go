package awsfake

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
)

// maxBatch is how many secrets one BatchGetSecretValue may name.
const maxBatch = 20

type input struct {
	SecretID     string   `json:"SecretId"`
	SecretIDList []string `json:"SecretIdList"`
	Name         string
	VersionID    string `json:"VersionId"`
	VersionStage string
	SecretString *string
	SecretBinary []byte
	MaxResults   int
	NextToken    string
	Stages       []string `json:"VersionStages"`
	Token        string   `json:"ClientRequestToken"`
}

func (s *Server) secretsManager(c *call) (any, *fault) {
	var in input
	if err := json.Unmarshal(c.body, &in); err != nil {
		return nil, &fault{status: 400, code: "SerializationException", message: "Start of structure or map found where not expected."}
	}
	switch c.op {
	case "GetSecretValue":
		return s.get(in)
	case "BatchGetSecretValue":
		return s.batchGet(c, in)
	case "DescribeSecret":
		return s.describe(in)
	case "ListSecrets":
		return s.list(in)
	case "CreateSecret", "PutSecretValue":
		return s.write(c.op, in)
	}
	return nil, &fault{status: 400, code: "UnknownOperationException"}
}

func (s *Server) get(in input) (any, *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entryLocked(in.SecretID, in.VersionID, in.VersionStage)
}

func (s *Server) entryLocked(id, versionID, stage string) (map[string]any, *fault) {
	sec := s.find(id)
	if sec == nil {
		return nil, &fault{status: 400, code: "ResourceNotFoundException", message: "Secrets Manager can't find the specified secret."}
	}
	v := sec.pick(versionID, stage)
	if v == nil {
		what := "staging label: " + stage
		if versionID != "" {
			what = "VersionId: " + versionID
		}
		return nil, &fault{status: 400, code: "ResourceNotFoundException", message: "Secrets Manager can't find the specified secret value for " + what}
	}
	out := map[string]any{
		"ARN": sec.arn, "Name": sec.name, "VersionId": v.ID, "VersionStages": v.Stages,
		"CreatedDate": float64(v.created.UnixMilli()) / 1000,
	}
	if v.Binary != nil {
		out["SecretBinary"] = base64.StdEncoding.EncodeToString(v.Binary)
	} else {
		out["SecretString"] = v.String
	}
	return out, nil
}

func (s *Server) batchGet(c *call, in input) (any, *fault) {
	if n := len(in.SecretIDList); n == 0 || n > maxBatch {
		return nil, &fault{status: 400, code: "ValidationException", message: "Value at 'secretIdList' failed to satisfy constraint: Member must have length between 1 and 20"}
	}
	from, to, next := s.page(in.NextToken, in.MaxResults, len(in.SecretIDList))
	values, failed := []any{}, []any{}
	for _, id := range in.SecretIDList[from:to] {
		f := s.injectedFor(c, id)
		var entry any
		if f == nil {
			s.mu.Lock()
			entry, f = s.entryLocked(id, "", "")
			s.mu.Unlock()
		}
		if f != nil {
			failed = append(failed, map[string]string{"SecretId": id, "ErrorCode": f.code, "Message": f.message})
			continue
		}
		values = append(values, entry)
	}
	slices.Reverse(values) // the order is not promised: a client must not depend on it
	out := map[string]any{"SecretValues": values, "Errors": failed}
	if next != "" {
		out["NextToken"] = next
	}
	return out, nil
}

// page cuts n entries into pages; the token is the index of the next one.
func (s *Server) page(token string, max, n int) (from, to int, next string) {
	from, _ = strconv.Atoi(token)
	from = min(from, n)
	size := s.opt.PageSize
	if max > 0 {
		size = min(size, max)
	}
	to = min(from+size, n)
	if to < n {
		next = strconv.Itoa(to)
	}
	return from, to, next
}

func (s *Server) describe(in input) (any, *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sec := s.find(in.SecretID)
	if sec == nil {
		return nil, &fault{status: 400, code: "ResourceNotFoundException", message: "Secrets Manager can't find the specified secret."}
	}
	stages := map[string][]string{}
	for _, v := range sec.versions {
		stages[v.ID] = v.Stages
	}
	return map[string]any{"ARN": sec.arn, "Name": sec.name, "VersionIdsToStages": stages}, nil
}

func (s *Server) list(in input) (any, *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.secrets))
	for name := range s.secrets {
		names = append(names, name)
	}
	slices.Sort(names)
	from, to, next := s.page(in.NextToken, in.MaxResults, len(names))
	entries := []any{}
	for _, name := range names[from:to] {
		entries = append(entries, map[string]any{"ARN": s.secrets[name].arn, "Name": name})
	}
	out := map[string]any{"SecretList": entries}
	if next != "" {
		out["NextToken"] = next
	}
	return out, nil
}

func (s *Server) write(op string, in input) (any, *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := Version{ID: in.Token, Stages: in.Stages, Binary: in.SecretBinary}
	if in.SecretString != nil {
		v.String, v.Binary = *in.SecretString, nil
	}
	name := in.Name
	if op == "CreateSecret" {
		if s.secrets[name] != nil {
			return nil, &fault{status: 400, code: "ResourceExistsException", message: "The operation failed because the secret already exists."}
		}
	} else {
		sec := s.find(in.SecretID)
		if sec == nil {
			return nil, &fault{status: 400, code: "ResourceNotFoundException", message: "Secrets Manager can't find the specified secret."}
		}
		name = sec.name
	}
	id := s.putLocked(name, v)
	return map[string]any{"ARN": s.secrets[name].arn, "Name": name, "VersionId": id, "VersionStages": []string{current}}, nil
}
