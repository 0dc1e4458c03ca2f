package awsauth

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"kz/resolver"
)

// retryAfter is how long credentials that are still good are used when new ones
// could not be had, before they are asked for again.
const retryAfter = 30 * time.Second

// RenewAt is when credentials that end at expires are due: at 80 % of what is left of them now.
func RenewAt(now, expires time.Time) time.Time {
	return now.Add(expires.Sub(now) * 8 / 10)
}

// renewing keeps temporary credentials until they are due. However many ask,
// there is one call; it is bounded by timeout and by nobody's context, so that
// a caller who leaves does not take it from the others.
type renewing struct {
	fetch   func(context.Context) (aws.Credentials, error)
	now     func() time.Time
	timeout time.Duration

	mu     sync.Mutex
	creds  aws.Credentials
	due    time.Time
	flight *flight
}

// flight is one call; its fields are set before done is closed.
type flight struct {
	done  chan struct{}
	creds aws.Credentials
	err   error
}

// Retrieve implements aws.CredentialsProvider.
func (r *renewing) Retrieve(ctx context.Context) (aws.Credentials, error) {
	r.mu.Lock()
	if r.creds.HasKeys() && r.now().Before(r.due) {
		defer r.mu.Unlock()
		return r.creds, nil
	}
	f := r.flight
	if f == nil {
		f = &flight{done: make(chan struct{})}
		r.flight = f
		go r.fly(context.WithoutCancel(ctx), f)
	}
	r.mu.Unlock()
	select {
	case <-f.done:
		return f.creds, f.err
	case <-ctx.Done():
		return aws.Credentials{}, resolver.Transport(ctx.Err())
	}
}

func (r *renewing) fly(ctx context.Context, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	creds, err := r.attempt(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	defer close(f.done)
	r.flight = nil
	now := r.now()
	switch {
	case err == nil:
		r.creds, r.due = creds, RenewAt(now, creds.Expires)
	case r.creds.HasKeys() && now.Before(r.creds.Expires):
		creds, err = r.creds, nil
		r.due = now.Add(retryAfter)
	}
	f.creds, f.err = creds, err
}

// attempt is fetch, of which a panic is an error without text: nobody above this goroutine would catch it.
func (r *renewing) attempt(ctx context.Context) (creds aws.Credentials, err error) {
	defer func() {
		if recover() != nil {
			err = &resolver.Error{Kind: resolver.Unavailable, Message: "the code that logs in to AWS has broken off", Advice: "this is a defect of kz: please report it"}
		}
	}()
	return r.fetch(ctx)
}

// forget drops what is kept: the service calls it expired.
func (r *renewing) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.creds = aws.Credentials{}
}
