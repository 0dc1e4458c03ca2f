package cli

import (
	"embed"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"
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

// writtenTopics are the topics that are made of data when they are asked for, in the form of the files.
var writtenTopics = map[string]func() string{}

// topics are all of them, in the order of their names.
func topics() []topic {
	var all []topic
	files, _ := topicFiles.ReadDir("topics") // it is part of the program
	for _, f := range files {
		text, _ := topicFiles.ReadFile(path.Join("topics", f.Name()))
		all = append(all, topic{strings.TrimSuffix(f.Name(), ".txt"), string(text)})
	}
	for name, write := range writtenTopics {
		all = append(all, topic{name, write()})
	}
	slices.SortFunc(all, func(a, b topic) int { return strings.Compare(a.name, b.name) })
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
