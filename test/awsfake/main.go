// Command awsfake runs kz/resolver/resolvertest/awsfake as a process: AWS
// Secrets Manager and STS on loopback, which verify every signature.
//
//	awsfake -seed seed.json
//	READY http://127.0.0.1:40123 control=http://127.0.0.1:40124
//
// The seed is a JSON object of secret names and their string values. The control
// address sets secrets and injects failures while it runs; see control.go. It
// stops on SIGINT or SIGTERM.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"kz/resolver/resolvertest/awsfake"
)

func main() {
	var opts awsfake.Options
	listen := flag.String("listen", "127.0.0.1:0", "loopback address to listen on")
	seed := flag.String("seed", "", "JSON file of secret names and values")
	watch := flag.Bool("watch-stdin", false, "stop when standard input closes")
	flag.StringVar(&opts.Region, "region", "us-east-1", "the one region it is in")
	flag.StringVar(&opts.WebIdentityToken, "web-identity-token", "", "token that AssumeRoleWithWebIdentity accepts; empty: none")
	flag.StringVar(&opts.ContainerToken, "container-token", "", "Authorization of the container credential endpoint; empty: off")
	flag.StringVar(&opts.ExternalID, "external-id", "", "external id that AssumeRole asks for; empty: anything")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *watch {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			cancel()
		}()
	}
	if err := run(ctx, os.Stdout, *listen, *seed, opts); err != nil {
		fmt.Fprintln(os.Stderr, "awsfake:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends, then gives requests two seconds to finish.
func run(ctx context.Context, out io.Writer, listen, seed string, opts awsfake.Options) error {
	fake := awsfake.New(opts)
	if seed != "" {
		if err := plant(fake, seed); err != nil {
			return err
		}
	}
	c := newControl(fake)
	front, err := serve(listen, c.delayed(fake))
	if err != nil {
		return err
	}
	back, err := serve("127.0.0.1:0", c.handler())
	if err != nil {
		return errors.Join(err, front.srv.Close())
	}
	fmt.Fprintf(out, "READY http://%s control=http://%s\n", front.addr, back.addr)

	<-ctx.Done()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	for _, s := range []server{front, back} {
		if s.srv.Shutdown(grace) != nil {
			_ = s.srv.Close() // a request that hangs on purpose
		}
	}
	return nil
}

// plant puts the secrets of a JSON file into the fake.
func plant(fake *awsfake.Server, file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var secrets map[string]string
	if err := json.Unmarshal(b, &secrets); err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	for name, value := range secrets {
		fake.Put(name, value)
	}
	return nil
}

type server struct {
	srv  *http.Server
	addr string
}

func serve(addr string, h http.Handler) (server, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return server{}, err
	}
	s := server{srv: &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}, addr: ln.Addr().String()}
	go func() { _ = s.srv.Serve(ln) }()
	return s, nil
}
