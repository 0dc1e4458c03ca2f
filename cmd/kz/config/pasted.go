package config

import "strings"

// masked finds a mask that was pasted from the environment of a blind program. Nothing in a configuration is one, and what
// else would be said of it, that no such secret is in the store, would not tell what has happened.
func masked(n *node) *Problem {
	if _, rest, found := strings.Cut(n.text, "kz_masked_"); found && !strings.HasPrefix(rest, maskHole) { // that has an error of its own
		return &Problem{Pos: n.pos, Message: "what stands here is a mask, which means nothing outside of its session",
			Hint: "write the name that the value has in its store; `kz put NAME` stores a value, outside of blind sessions"}
	}
	for _, item := range n.items {
		if p := masked(item); p != nil {
			return p
		}
	}
	for _, f := range n.fields {
		if p := masked(f.value); p != nil {
			return p
		}
	}
	return nil
}
