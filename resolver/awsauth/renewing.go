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
	return now.Add(expires.Sub(now) / 10 * 8)
}

// renewing keeps temporary credentials until they are due. However many ask,
// there is one call; it is bounded by timeout, and goes on until the last who
// waits for it has left.
type renewing struct {
	fetch   func(context.Context) (aws.Credentials, error)
	now     func() time.Time
	timeout time.Duration

	mu     sync.Mutex
	creds  aws.Credentials
	due    time.Time
	flight *flight
}

// flight is one call; creds and err are set before done is closed.
type flight struct {
	done    chan struct{}
	cancel  context.CancelFunc
	waiting int
	creds   aws.Credentials
	err     error
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
		called, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.timeout)
		f = &flight{done: make(chan struct{}), cancel: cancel}
		r.flight = f
		go r.fly(called, f)
	}
	f.waiting++
	r.mu.Unlock()
	select {
	case <-f.done:
		return f.creds, f.err
	case <-ctx.Done():
		r.leave(f)
		return aws.Credentials{}, resolver.Transport(ctx.Err())
	}
}

// leave ends a flight that nobody waits for any more.
func (r *renewing) leave(f *flight) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.waiting--; f.waiting == 0 {
		f.cancel()
		if r.flight == f {
			r.flight = nil
		}
	}
}

func (r *renewing) fly(ctx context.Context, f *flight) {
	defer f.cancel()
	creds, err := r.attempt(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	defer close(f.done)
	if r.flight == f {
		r.flight = nil
	}
	now := r.now()
	if err == nil {
		err = Lasting(now, creds.Expires)
	}
	switch {
	case err == nil:
		r.creds, r.due = creds, RenewAt(now, creds.Expires)
	case r.creds.HasKeys() && now.Before(r.creds.Expires):
		creds, err = r.creds, nil
		r.due = now.Add(retryAfter)
	}
	if err != nil {
		creds = aws.Credentials{}
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
