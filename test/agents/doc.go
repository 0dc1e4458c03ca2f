// Package agents runs real coding agents, Claude Code and Codex, under `kz run --blind` against stand-ins for the APIs of
// their models: the agents do what they are told to do, and no value is found in their memory, files and transcripts.
package agents
