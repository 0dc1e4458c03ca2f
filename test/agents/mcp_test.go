package agents_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// serveMCP is an MCP server on its standard streams, as agents start them. Its one tool, whoami, makes a request with the
// token that it has in its environment, and answers with that token and the status.
func serveMCP([]string) int {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var request struct {
			ID     json.RawMessage
			Method string
			Params struct{ ProtocolVersion string }
		}
		if err := in.Decode(&request); err == io.EOF {
			return 0
		} else if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		result := object{}
		switch request.Method {
		case "initialize":
			result = object{
				"protocolVersion": request.Params.ProtocolVersion, "capabilities": object{"tools": object{}},
				"serverInfo": object{"name": "github", "version": "1"},
			}
		case "tools/list":
			result["tools"] = []object{{
				"name": "whoami", "description": "says who the token is for",
				"inputSchema": object{"type": "object", "properties": object{}}, "annotations": object{"readOnlyHint": true},
			}}
		case "tools/call":
			result["content"] = []object{{"type": "text", "text": whoami()}}
		}
		if request.ID == nil {
			continue // a notification
		}
		if err := out.Encode(object{"jsonrpc": "2.0", "id": request.ID, "result": result}); err != nil {
			return 1
		}
	}
}

func whoami() string {
	token := os.Getenv("GITHUB_TOKEN")
	r, err := http.NewRequest("GET", "https://api.github.com/user", nil)
	if err != nil {
		return err.Error()
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return strings.ReplaceAll(err.Error(), token, "TOKEN")
	}
	defer resp.Body.Close()
	return fmt.Sprintf("%s: %s", token, resp.Status)
}
