package fields

// maxSpellings bounds how many differently spelt credential names of one
// object or form are followed. Those beyond are not selected.
const maxSpellings = 64

const (
	seen   = 1 << iota // the place has occurred
	twice              // and again
	marked             // an occurrence, or a place below one, held a mask
)

// A place is a selected place or one that leads there: a node of the selector,
// or, as -1-k, the k-th credential name that is no node.
type place int32

// A tracker notes for one JSON document, or one form, which places have
// occurred and which of them held a mask. Its memory is bounded by the
// selector and maxSpellings.
type tracker struct {
	sel       *Selector
	nodes     []uint8
	spellings []spelling
	off       bool // nothing is selected any more

	// Room for what is usual, so that it is not allocated piece by piece.
	roomForNodes     [16]uint8
	roomForSpellings [2]spelling
}

type spelling struct {
	name  string
	flags uint8
}

// reset forgets everything, for the next document.
func (t *tracker) reset() {
	if t.nodes == nil {
		t.nodes = append(t.roomForNodes[:0], make([]uint8, len(t.sel.nodes))...)
		t.spellings = t.roomForSpellings[:0]
	}
	clear(t.nodes)
	t.spellings = t.spellings[:0]
	t.off = false
}

// charsetField names, in a form, the charset of its other fields (RFC 7578, section 4.6; WHATWG HTML, form submission).
const charsetField = "_charset_"

// charset notes the name of a form's field. From a charsetField on nothing is selected: a receiver may read another text than what
// is put into a field. The error is that of a place before it which held a mask.
func (t *tracker) charset(name []byte) error {
	if string(name) != charsetField {
		return nil
	}
	t.off = true
	for i, f := range t.nodes {
		if f&marked != 0 {
			return t.ambiguous(place(i), false)
		}
	}
	for i := range t.spellings {
		if t.spellings[i].flags&marked != 0 {
			return t.ambiguous(place(-1-i), false)
		}
	}
	return nil
}

// top returns the place of the top-level member, form field or part name, and
// whether its value is selected there. ok is false when name is of no interest.
func (t *tracker) top(name []byte, pointers bool) (p place, selected, ok bool) {
	if t.off {
		return 0, false, false
	}
	cred := t.sel.credential && isCredential(name)
	if c := t.sel.child(0, name); c > 0 {
		n := &t.sel.nodes[c]
		selected = cred || n.byName || pointers && n.byPtr
		return place(c), selected, selected || pointers
	}
	if !cred {
		return 0, false, false
	}
	for i := range t.spellings {
		if t.spellings[i].name == string(name) {
			return place(-1 - i), true, true
		}
	}
	if len(t.spellings) == maxSpellings {
		return 0, false, false
	}
	t.spellings = append(t.spellings, spelling{name: string(name)})
	return place(-len(t.spellings)), true, true
}

// occur notes that p has occurred and reports whether that is ambiguous.
func (t *tracker) occur(p place) bool {
	f := t.flags(p)
	if *f&seen != 0 {
		*f |= twice
	}
	*f |= seen
	return *f&twice != 0 && *f&marked != 0
}

// mark notes that p holds a mask and reports whether that is ambiguous.
func (t *tracker) mark(p place) bool {
	if p < 0 {
		f := t.flags(p)
		*f |= marked
		return *f&twice != 0
	}
	ambiguous := false
	for c := int32(p); c > 0; c = t.sel.nodes[c].parent {
		t.nodes[c] |= marked
		ambiguous = ambiguous || t.nodes[c]&twice != 0
	}
	return ambiguous
}

func (t *tracker) flags(p place) *uint8 {
	if p < 0 {
		return &t.spellings[-1-p].flags
	}
	return &t.nodes[p]
}

// field describes p, for JSON with its pointer.
func (t *tracker) field(p place, pointers bool) Field {
	if p >= 0 {
		f := t.sel.nodes[p].field
		if !pointers {
			f.Pointer = ""
		}
		return f
	}
	f := Field{Name: t.spellings[-1-p].name, Top: true}
	if pointers {
		f.Pointer = pointerToken(f.Name)
	}
	return f
}

// ambiguous returns the error for p, naming the selected place below p that
// holds the mask when p only leads there.
func (t *tracker) ambiguous(p place, pointers bool) error {
	for i := max(int32(p), 1); p > 0 && int(i) < len(t.nodes); i++ {
		n := &t.sel.nodes[i]
		if t.nodes[i]&marked == 0 || !n.byPtr {
			continue
		}
		for c := i; c > 0; c = t.sel.nodes[c].parent {
			if c == int32(p) {
				return &AmbiguousError{Field: t.field(place(i), pointers)}
			}
		}
	}
	return &AmbiguousError{Field: t.field(p, pointers)}
}
