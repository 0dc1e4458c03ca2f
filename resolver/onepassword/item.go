package onepassword

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"kz/resolver"
)

// item is what op and Connect both say of an item, as far as it is needed.
type item struct {
	ID       string    `json:"id"`
	Title    string    `json:"title"`
	Category string    `json:"category"`
	Vault    vault     `json:"vault"`
	Sections []section `json:"sections"`
	Fields   []field   `json:"fields"`
	Files    []file    `json:"files"`
}

type vault struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type section struct {
	ID    string `json:"id"`
	Label string `json:"label"`
}

type field struct {
	ID      string   `json:"id"`
	Section *section `json:"section"`
	Label   string   `json:"label"`
	Value   string   `json:"value"`
	TOTP    string   `json:"totp"`
}

type file struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Section *section `json:"section"`
}

// inSection reports whether what belongs to sec is meant by a reference.
func (i *item) inSection(sec *section, at reference) bool {
	if at.section == "" {
		return true
	}
	if sec == nil {
		return false
	}
	label := sec.Label
	for _, s := range i.Sections {
		if s.ID == sec.ID {
			label = s.Label
		}
	}
	return sec.ID == at.section || strings.EqualFold(label, at.section)
}

// findField is the index of the field that a reference means; -1 when there is none. References do not tell case apart;
// one that fits a field outside all sections means that one.
func (i *item) findField(at reference) (int, error) {
	var exact, folded []int
	for n, f := range i.Fields {
		switch {
		case !i.inSection(f.Section, at):
		case f.ID == at.field, f.Label == at.field:
			exact = append(exact, n)
		case strings.EqualFold(f.Label, at.field):
			folded = append(folded, n)
		}
	}
	for _, found := range [][]int{exact, folded} {
		free := slices.DeleteFunc(slices.Clone(found), func(n int) bool { return i.Fields[n].Section != nil })
		switch {
		case len(found) == 0:
		case len(found) == 1:
			return found[0], nil
		case len(free) == 1 && at.section == "":
			return free[0], nil
		default:
			return -1, &resolver.Error{Kind: resolver.InvalidReference, Message: fmt.Sprintf("the item %q has more than one field %q", at.item, at.field),
				Advice: "name the section too, op://vault/item/section/field, or give the field's id"}
		}
	}
	return -1, nil
}

func (i *item) findFile(at reference) *file {
	for n, f := range i.Files {
		if i.inSection(f.Section, at) && (f.ID == at.field || strings.EqualFold(f.Name, at.field)) {
			return &i.Files[n]
		}
	}
	return nil
}

// missing says which fields there are instead.
func (i *item) missing(at reference) error {
	e := &resolver.Error{Kind: resolver.FieldMissing, Message: fmt.Sprintf("the item %q has no field %q", at.item, at.field),
		Advice: "name one of its fields, and its section if it has one"}
	if at.section != "" {
		e.Message += fmt.Sprintf(" in a section %q", at.section)
	}
	for _, f := range i.Fields {
		if f.Label != "" {
			e.Keys = append(e.Keys, f.Label)
		}
	}
	for _, f := range i.Files {
		e.Keys = append(e.Keys, f.Name)
	}
	slices.Sort(e.Keys)
	e.Keys = slices.Compact(e.Keys)
	return e
}

// ambiguous is of a name that several things have; none of them is described.
func ambiguous(what, name string, n int) error {
	return &resolver.Error{Kind: resolver.InvalidReference, Message: fmt.Sprintf("there are %d %ss named %q", n, what, name),
		Advice: "give the " + what + "'s id, which 1Password's apps show as part of its private link"}
}

// newItem is an item of one field. An API credential is the category that 1Password has for what programs use.
func newItem(at reference, value string) ([]byte, error) {
	return withField([]byte(`{"category":"API_CREDENTIAL"}`), at, -1, value, func(m map[string]any) { m["title"] = at.item })
}

// withField is an item with one field changed, by its index, or added when that is -1. All else of the item stays as it
// came, also what this package does not know.
func withField(raw []byte, at reference, index int, value string, more func(map[string]any)) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil || m == nil {
		return nil, notAnItem()
	}
	if more != nil {
		more(m)
	}
	fields, _ := m["fields"].([]any)
	if index >= 0 {
		f, ok := fields[index].(map[string]any)
		if !ok {
			return nil, notAnItem()
		}
		f["value"] = value
		return json.Marshal(m)
	}
	f := map[string]any{"type": "CONCEALED", "label": at.field, "value": value}
	if at.section != "" {
		f["section"] = map[string]any{"id": sectionID(m, at.section)}
	}
	m["fields"] = append(fields, f)
	return json.Marshal(m)
}

// sectionID finds a section of an item, or adds it.
func sectionID(m map[string]any, name string) string {
	sections, _ := m["sections"].([]any)
	for _, s := range sections {
		if s, ok := s.(map[string]any); ok {
			id, _ := s["id"].(string)
			label, _ := s["label"].(string)
			if id == name || strings.EqualFold(label, name) {
				return id
			}
		}
	}
	id := "kz-" + strings.ToLower(strings.ReplaceAll(name, " ", "-"))
	m["sections"] = append(sections, map[string]any{"id": id, "label": name})
	return id
}

func notAnItem() *resolver.Error {
	return &resolver.Error{Kind: resolver.Unavailable, Message: "the answer is not a 1Password item", Advice: "check for a proxy in between, and update op or the Connect server"}
}
