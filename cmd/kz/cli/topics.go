package cli

import (
	"embed"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kz/cmd/kz/config"
)

// topicFiles are the texts of `kz help TOPIC`: a line that sums up, an empty line, and the text, of at most 80 columns.
// Commands in them begin with "  $ ". Tests hold both.
//
//go:embed topics/*.txt
var topicFiles embed.FS

// topic is one text of `kz help TOPIC`.
type topic struct{ name, text string }

// summary is the first line, as lists show it.
func (t topic) summary() string {
	line, _, _ := strings.Cut(t.text, "\n")
	return line
}

// writtenTopics are made of data when they are asked for, in the form of the files. What has a file, too, follows its text.
var writtenTopics = map[string]func() string{"services": serviceList, "stores": storeSettings}

// topics are all of them, in the order of their names.
func topics() []topic {
	texts := map[string]string{}
	files, _ := topicFiles.ReadDir("topics") // it is part of the program
	for _, f := range files {
		text, _ := topicFiles.ReadFile(path.Join("topics", f.Name()))
		texts[strings.TrimSuffix(f.Name(), ".txt")] = string(text)
	}
	for name, write := range writtenTopics {
		texts[name] += write()
	}
	var all []topic
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		all = append(all, topic{name, texts[name]})
	}
	return all
}

func topicByName(name string) (topic, bool) {
	all := topics()
	i := slices.IndexFunc(all, func(t topic) bool { return t.name == name })
	if i < 0 {
		return topic{}, false
	}
	return all[i], true
}

// nearTopics are the topics that a word may have meant, by cobra's own measure.
func nearTopics(word string) []string {
	all := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, t := range topics() {
		all.AddCommand(&cobra.Command{Use: t.name, Run: func(*cobra.Command, []string) {}})
	}
	return all.SuggestionsFor(word)
}

// topicList is the list of topics under `kz help`.
func topicList() string {
	var b strings.Builder
	b.WriteString("Topics, each shown by `kz help TOPIC`:\n")
	for _, t := range topics() {
		b.WriteString(listed(t.name, t.summary()))
	}
	return b.String()
}

// storeSettings are the types of backends with their settings, as `kz backends --json` lists them.
func storeSettings() string {
	var b strings.Builder
	b.WriteString("\nTypes and their settings; * is one that must be given, and one that is marked\n(secret) takes { secret = \"NAME\" }\n")
	for _, t := range config.Types() {
		b.WriteString("\n  " + t.Name + "\n")
		paragraph(&b, 6, t.Label+": "+t.Help+".")
		for _, s := range t.Settings {
			key := s.Key
			if s.Required {
				key += " *"
			}
			about := s.Help
			if s.Sensitive {
				about = "(secret) " + about
			}
			if len(s.Values) > 0 {
				about = "one of " + strings.Join(s.Values, ", ") + "; " + about
			}
			if len(s.Auth) > 0 {
				about += " (auth: " + strings.Join(s.Auth, ", ") + ")"
			}
			item(&b, 6, 23, key, about)
		}
	}
	return b.String()
}

// paragraph writes text, indented, within helpWidth.
func paragraph(b *strings.Builder, indent int, text string) {
	for _, line := range broken(text, helpWidth-indent) {
		b.WriteString(strings.Repeat(" ", indent) + line + "\n")
	}
}

// item writes a name and, in a column beside it, what it is.
func item(b *strings.Builder, indent, width int, name, about string) {
	for i, line := range broken(about, helpWidth-indent-width) {
		if i > 0 {
			name = ""
		}
		fmt.Fprintf(b, "%*s%-*s%s\n", indent, "", width, name, line)
	}
}
