package config

import "strings"

// suggestion is the known word nearest to what was written, as a hint; "" when none is near.
func suggestion(written string, known []string) string {
	if s := Nearest(written, known); s != "" {
		return `did you mean "` + s + `"?`
	}
	return ""
}

// didYouMean is suggestion as the end of a message that has another hint.
func didYouMean(written string, known []string) string {
	if s := suggestion(written, known); s != "" {
		return "; " + s
	}
	return ""
}

// Nearest is the known word that was probably meant: one or two slips away; "" when none is.
func Nearest(written string, known []string) string {
	if len(written) > 40 {
		return ""
	}
	w := fold(written)
	best, distance := "", 1+min(2, len(w)/3)
	for _, k := range known {
		if d := editDistance(w, fold(k)); d < distance {
			best, distance = k, d
		}
	}
	return best
}

var folder = strings.NewReplacer("-", "", "_", "")

func fold(s string) string { return folder.Replace(strings.ToLower(s)) }

// editDistance counts insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
func editDistance(a, b string) int {
	prev2, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
		}
		prev2, prev, row = prev, row, prev2
	}
	return prev[len(b)]
}

// guesses gives the host of a service by the beginning of a variable's name. Those that a whole name is known to be for
// are in services.toml.
var guesses = []struct{ prefix, host string }{
	{"ANTHROPIC_", "api.anthropic.com"}, {"CLAUDE_", "api.anthropic.com"}, {"OPENAI_", "api.openai.com"},
	{"GEMINI_", "generativelanguage.googleapis.com"}, {"MISTRAL_", "api.mistral.ai"}, {"GROQ_", "api.groq.com"},
	{"XAI_", "api.x.ai"}, {"DEEPSEEK_", "api.deepseek.com"}, {"COHERE_", "api.cohere.com"},
	{"OPENROUTER_", "openrouter.ai"}, {"PERPLEXITY_", "api.perplexity.ai"}, {"TOGETHER_", "api.together.xyz"},
	{"REPLICATE_", "api.replicate.com"}, {"HF_", "huggingface.co"}, {"HUGGINGFACE_", "huggingface.co"},
	{"STRIPE_", "api.stripe.com"}, {"GITHUB_", "api.github.com"}, {"GH_", "api.github.com"}, {"GITLAB_", "gitlab.com"},
	{"SLACK_", "slack.com"}, {"SENDGRID_", "api.sendgrid.com"}, {"TWILIO_", "api.twilio.com"},
	{"CLOUDFLARE_", "api.cloudflare.com"}, {"DD_", "api.datadoghq.com"}, {"DATADOG_", "api.datadoghq.com"},
	{"SENTRY_", "sentry.io"}, {"LINEAR_", "api.linear.app"},
	{"NOTION_", "api.notion.com"}, {"TELNYX_", "api.telnyx.com"}, {"ELEVENLABS_", "api.elevenlabs.io"},
}

// exampleHost stands for a service that is not known.
const exampleHost = "api.example.com"

// suggestedHost is what to write under hosts for a variable: a guess for a person to check, never a binding.
func suggestedHost(variable string) string {
	v := strings.ToUpper(variable)
	for _, s := range guesses {
		if strings.HasPrefix(v, s.prefix) {
			return s.host
		}
	}
	return exampleHost
}
