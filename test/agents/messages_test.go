package agents_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// messages is Anthropic's Messages API.
type messages struct{}

func (messages) path() string { return "/v1/messages" }

func (messages) credential(h http.Header) string { return h.Get("X-Api-Key") }

func (messages) read(body []byte) (turn, error) {
	var request struct {
		Tools    []struct{ Name string }
		Messages []struct{ Content json.RawMessage }
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return turn{}, err
	}
	t := turn{aside: len(request.Tools) == 0}
	for _, m := range request.Messages {
		var blocks []struct {
			Type    string
			Content json.RawMessage
		}
		if json.Unmarshal(m.Content, &blocks) != nil {
			continue // text alone
		}
		for _, b := range blocks {
			if b.Type == "tool_result" {
				t.results = append(t.results, text(b.Content))
			}
		}
	}
	return t, nil
}

// text is a JSON string, or the text of all blocks of a list.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var blocks []struct{ Text string }
	if json.Unmarshal(raw, &blocks) != nil {
		return string(raw)
	}
	var all strings.Builder
	for _, b := range blocks {
		all.WriteString(b.Text)
	}
	return all.String()
}

func (m messages) warm() []object { return m.answer(0, nil, "a title") }

func (messages) answer(n int, c *call, words string) []object {
	block, delta, stop := object{"type": "text", "text": ""}, object{"type": "text_delta", "text": words}, "end_turn"
	if c != nil {
		name, input := c.tool, c.input
		if c.shell != "" {
			name, input = "Bash", object{"command": c.shell, "description": "as it was told"}
		}
		block = object{"type": "tool_use", "id": fmt.Sprintf("toolu_%d", n), "name": name, "input": object{}}
		delta, stop = object{"type": "input_json_delta", "partial_json": string(encode(input))}, "tool_use"
	}
	return []object{
		{"type": "message_start", "message": object{
			"id": fmt.Sprintf("msg_%d", n), "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": []any{},
			"stop_reason": nil, "stop_sequence": nil, "usage": object{"input_tokens": 3, "output_tokens": 1},
		}},
		{"type": "content_block_start", "index": 0, "content_block": block},
		{"type": "content_block_delta", "index": 0, "delta": delta},
		{"type": "content_block_stop", "index": 0},
		{"type": "message_delta", "delta": object{"stop_reason": stop, "stop_sequence": nil}, "usage": object{"output_tokens": 2}},
		{"type": "message_stop"},
	}
}
