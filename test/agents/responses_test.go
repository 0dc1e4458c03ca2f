package agents_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// responses is OpenAI's Responses API, over HTTP and as a WebSocket.
type responses struct{}

func (responses) path() string { return "/v1/responses" }

func (responses) credential(h http.Header) string {
	key, _ := strings.CutPrefix(h.Get("Authorization"), "Bearer ")
	return key
}

func (responses) read(body []byte) (turn, error) {
	var request struct {
		Previous string `json:"previous_response_id"`
		Generate *bool
		Input    []struct {
			Type   string
			Output json.RawMessage
		}
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return turn{}, err
	}
	t := turn{goesOn: request.Previous != "", aside: request.Generate != nil && !*request.Generate}
	for _, item := range request.Input {
		if strings.HasSuffix(item.Type, "_call_output") {
			t.results = append(t.results, text(item.Output))
		}
	}
	return t, nil
}

func (r responses) warm() []object { return r.events("resp_warm") }

// runs waits for a command to its end, which Codex by itself does for 30 seconds at most.
const runs = `// @exec: {"yield_time_ms": 120000}
let r = await tools.exec_command({cmd: %s, yield_time_ms: 30000}), all = r.output;
while (r.session_id) {
  r = await tools.write_stdin({session_id: r.session_id, chars: "", yield_time_ms: 30000});
  all += r.output;
}
text(all);`

// answer calls Codex's one tool, a script, whose functions are what other agents have as tools.
func (r responses) answer(n int, c *call, words string) []object {
	item := object{
		"type": "message", "id": fmt.Sprintf("msg_%d", n), "role": "assistant",
		"content": []object{{"type": "output_text", "text": words, "annotations": []any{}}},
	}
	if c != nil {
		script := fmt.Sprintf("text(JSON.stringify(await tools.%s(%s)))", c.tool, encode(c.input))
		if c.shell != "" {
			script = fmt.Sprintf(runs, encode(c.shell))
		}
		item = object{"type": "custom_tool_call", "id": fmt.Sprintf("ctc_%d", n), "call_id": fmt.Sprintf("call_%d", n), "name": "exec", "namespace": "functions", "input": script}
	}
	return r.events(fmt.Sprintf("resp_%d", n), item)
}

func (responses) events(id string, items ...object) []object {
	list := []object{{"type": "response.created", "response": object{"id": id}}}
	for i, item := range items {
		list = append(list, object{"type": "response.output_item.done", "output_index": i, "item": item})
	}
	usage := object{
		"input_tokens": 3, "output_tokens": 2, "total_tokens": 5,
		"input_tokens_details": object{"cached_tokens": 0}, "output_tokens_details": object{"reasoning_tokens": 0},
	}
	return append(list, object{"type": "response.completed", "response": object{"id": id, "output": items, "usage": usage}})
}
