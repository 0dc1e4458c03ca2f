package fields

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestALongValueIsHeldAsFarAsThereIsRoom(t *testing.T) {
	t.Parallel()
	held := 0
	body := `{"token":"` + strings.Repeat("a", 300<<10) + `"}`
	selector, err := NewSelector(Selection{Credential: true})
	if err != nil {
		t.Fatal(err)
	}
	read := func(most int) error {
		r, err := NewReader(strings.NewReader(body), Options{Format: JSON, Selector: selector, Edit: func(Field, []byte) ([]byte, bool, error) { return nil, false, nil },
			Grow: func(n int) bool { held += n; return held <= most }})
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, r)
		return err
	}
	if err := read(100 << 10); !errors.Is(err, ErrRoom) {
		t.Errorf("beyond its room: %v", err)
	}
	if held = 0; read(1<<20) != nil || held < 256<<10 {
		t.Errorf("%d bytes were asked for", held)
	}
}
