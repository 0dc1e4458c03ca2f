package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"kz/cmd/kz/config"
	"kz/proxy/audit"
)

// happenings are what an audit knows of one secret, the latest first.
type happenings struct {
	Sessions int         `json:"sessions"` // that were looked through
	Swapped  []happening `json:"swapped"`
	Withheld []happening `json:"withheld"`
	Scrubbed []happening `json:"scrubbed"`
}

func (h happenings) empty() bool { return len(h.Swapped)+len(h.Withheld)+len(h.Scrubbed) == 0 }

// happening is one thing that happened to a secret, however often.
type happening struct {
	Host   string    `json:"host"` // with its port unless that is 443
	Place  string    `json:"place"`
	Reason string    `json:"reason,omitempty"`
	Fix    string    `json:"fix,omitempty"`
	Count  int       `json:"count"`
	Last   time.Time `json:"last"`
}

// history looks through the audit for a secret. A program may name hosts without end: what finds no place in a list is
// counted under others.
func (a *app) history(ctx context.Context, s config.Secret, file string) (happenings, error) {
	paths, err := a.auditPaths(file)
	if err != nil {
		return happenings{}, err
	}
	type key struct{ host, place, reason string }
	kinds := [3]map[key]*happening{{}, {}, {}}
	count := func(kind int, e audit.Event, place, reason string, n int) {
		k := key{hostOf(e), place, reason}
		if kinds[kind][k] == nil && len(kinds[kind]) >= maxTold {
			k = key{others, others, ""}
		}
		h := kinds[kind][k]
		if h == nil {
			h = &happening{Host: k.host, Place: k.place, Reason: k.reason}
			kinds[kind][k] = h
		}
		h.Count += n
		if e.Time.After(h.Last) {
			h.Last = e.Time
		}
	}
	sessions := map[string]bool{}
	for _, path := range paths {
		lines := 0
		bad, err := readAudit(ctx, path, func(l auditLine) error {
			lines++
			sessions[l.Session] = true
			for _, x := range l.Swapped {
				if x.Secret == s.Name {
					count(0, l.Event, x.Place, "", 1)
				}
			}
			for _, x := range l.Withheld {
				if x.Secret == s.Name {
					count(1, l.Event, x.Place, cmp.Or(x.Reason, l.Reason, l.Code), 1)
				}
			}
			for _, x := range l.Scrubbed {
				if x.Secret == s.Name {
					count(2, l.Event, x.Where, "", x.Count)
				}
			}
			return nil
		})
		if err != nil {
			return happenings{}, err
		}
		if file != "" && bad > 0 && lines == 0 {
			return happenings{}, withHint(fmt.Errorf("reading %s: %w", path, errNotAudit), "--audit names a file that `kz run --audit` or `kz proxy --audit` wrote")
		}
	}
	out := happenings{Sessions: len(sessions)}
	for i, list := range []*[]happening{&out.Swapped, &out.Withheld, &out.Scrubbed} {
		*list = []happening{} // in JSON an empty list, not null
		for _, h := range kinds[i] {
			*list = append(*list, *h)
		}
		slices.SortFunc(*list, func(x, y happening) int {
			return cmp.Or(y.Last.Compare(x.Last), cmp.Compare(x.Host, y.Host), cmp.Compare(x.Place, y.Place))
		})
	}
	for i, h := range out.Withheld {
		out.Withheld[i].Fix = fix(s, h.Host, h.Place)
	}
	return out, nil
}

// daytime is a time as a person reads it.
func (a *app) daytime(t time.Time) string { return t.In(a.now().Location()).Format(time.DateTime) }
