package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"kz/cmd/kz/config"
)

// skewRefused is how far a clock may be off for AWS to take a signature (its documentation of Signature Version 4);
// skewOdd is more than a clock that is kept in time is off, with the second that a Date header rounds to.
const (
	skewRefused = 5 * time.Minute
	skewOdd     = 30 * time.Second
)

// examineClocks compares this machine's clock with those of the stores. Each is asked for something that needs no login,
// and only the date of its answer is looked at.
func (a *app) examineClocks(ctx context.Context, s *setup) []finding {
	if early := beforeBuild(a.now()); early != nil {
		return []finding{*early}
	}
	if s.session == nil {
		return nil
	}
	places := a.clockPlaces(s.cfg)
	found := make([]*finding, len(places))
	var all sync.WaitGroup
	for i, place := range places {
		all.Go(func() {
			if date, err := a.dateOf(ctx, place.url); err == nil {
				found[i] = skewed(place.backend, a.now().Sub(date))
			}
		})
	}
	all.Wait()
	var out []finding
	for _, f := range found {
		if f != nil {
			out = append(out, *f)
		}
	}
	return out
}

type clockPlace struct{ backend, url string }

// clockPlaces are the stores that are servers with an address that kz knows.
func (a *app) clockPlaces(cfg *config.Config) []clockPlace {
	var places []clockPlace
	for _, name := range slices.Sorted(maps.Keys(cfg.Backends)) {
		b := cfg.Backends[name]
		url := ""
		switch b.Type {
		case config.HashicorpVault:
			if url = cmp.Or(b.Text("address"), a.getenv("VAULT_ADDR")); url != "" {
				url = strings.TrimRight(url, "/") + "/v1/sys/health"
			}
		case config.AWSSecretsManager, config.AWSSSM, config.AWSSTS:
			url = cmp.Or(b.Text("endpoint"), a.getenv("AWS_ENDPOINT_URL"))
			region := cmp.Or(b.Text("region"), a.getenv("AWS_REGION"), a.getenv("AWS_DEFAULT_REGION"))
			if url == "" && region != "" {
				url = "https://sts." + region + ".amazonaws.com/"
			}
		}
		if url != "" {
			places = append(places, clockPlace{name, url})
		}
	}
	return places
}

// dateOf is the Date of an answer, whatever that is.
func (a *app) dateOf(ctx context.Context, url string) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return time.Time{}, err
	}
	// By the proxy that the environment names, as stores are reached.
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if err != nil {
		return time.Time{}, err
	}
	_ = resp.Body.Close()
	return http.ParseTime(resp.Header.Get("Date"))
}

// skewed is the finding of a clock that is ahead of a store's; nil when it is not.
func skewed(backend string, ahead time.Duration) *finding {
	if ahead.Abs() < skewOdd {
		return nil
	}
	f := &finding{ID: "clock-skew", Weight: weighsWarning, Why: "AWS and others refuse what is signed by a clock that is wrong, and certificates seem not yet or no longer valid", Fix: setClock()}
	if ahead.Abs() >= skewRefused {
		f.Weight = weighsError
	}
	which := "ahead of"
	if ahead < 0 {
		which = "behind"
	}
	f.Title = fmt.Sprintf("this machine's clock is %s %s that of the backend %s", ahead.Abs().Round(time.Second), which, oneLine(backend))
	return f
}

// beforeBuild is the finding of a clock that stands before kz was made.
func beforeBuild(now time.Time) *finding {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	for _, s := range info.Settings {
		if built, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil && now.Before(built.Add(-24*time.Hour)) {
			return &finding{ID: "clock-skew", Weight: weighsError, Title: "this machine's clock says " + now.UTC().Format(time.DateOnly) + ", before this kz was made",
				Why: "certificates seem not yet valid, and stores refuse what it signs", Fix: setClock()}
		}
	}
	return nil
}

func setClock() string {
	switch runtime.GOOS {
	case "darwin":
		return "set this machine's clock: `sudo sntp -sS time.apple.com`"
	case "windows":
		return "set this machine's clock: `w32tm /resync`"
	}
	return "set this machine's clock: `sudo timedatectl set-ntp true`, and look at `timedatectl status`"
}
