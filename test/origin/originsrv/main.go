// Command originsrv runs kz/test/origin as a process.
//
//	originsrv -dir DIR [-hosts api.test,git.test] [-watch-stdin]
//	READY {"addrs":{"tls":"127.0.0.1:40001","control":"127.0.0.1:40009",…},"ca":"DIR/ca.pem"}
//
// The READY line is printed once every listener accepts. It stops on SIGINT or
// SIGTERM.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"kz/test/origin"
)

func main() {
	dir := flag.String("dir", "", "directory for ca.pem and the git repository; empty: a temporary one")
	hosts := flag.String("hosts", strings.Join(origin.DefaultHosts, ","), "names with a good certificate")
	listen := flag.String("listen", "127.0.0.1:0", "loopback address of every listener")
	quiet := flag.Bool("no-record", false, "do not record requests")
	watch := flag.Bool("watch-stdin", false, "stop when standard input closes")
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
	opts := origin.Options{Dir: *dir, Hosts: strings.Split(*hosts, ","), Listen: *listen, NoKeep: *quiet}
	if err := run(ctx, opts); err != nil {
		fmt.Fprintln(os.Stderr, "originsrv:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, opts origin.Options) error {
	o, err := origin.Start(opts)
	if err != nil {
		return err
	}
	ready, err := json.Marshal(map[string]any{"addrs": o.Addrs(), "ca": o.CAFile()})
	if err != nil {
		return err
	}
	fmt.Printf("READY %s\n", ready)
	<-ctx.Done()
	return o.Close()
}
