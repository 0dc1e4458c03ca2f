// Package framing runs HTTP servers that others wrote, each behind TLS on loopback, and says which requests each of them
// read: so that a test can hold what a client sent, and what a proxy believes to have sent on, against what a server that
// parses in its own way made of it.
//
//	o, err := framing.Start(framing.Nginx, framing.Options{Dir: t.TempDir(), Certificate: leaf})
//	defer o.Close()
//	// speak to o.Addr
//	o.Seen()  // what the program's own log says, requests that it refused included
//	o.Taken() // the requests that came whole to an application in or behind it
//
// nginx, Apache and HAProxy stand before a small application in this process, as they do before others; Node and Python
// are applications themselves. Every answer of an application has the header X-Target, the target it read, and each
// answer of a server X-Origin or Server.
package framing

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Kind is one server program.
type Kind struct {
	Name string
	H2   bool // it speaks HTTP/2 as well
	// command writes what the program reads into the origin's directory and says how it is started.
	command func(o *Origin, program string) ([]string, error)
	log     string // the file of its log in the directory; "": its standard output
	before  bool   // it stands before an application of this process
}

// Options are what an origin needs.
type Options struct {
	Program     string           // the path of nginx, apache2, haproxy, node or python3
	Dir         string           // a directory of its own, in which its configuration and its log lie
	Certificate *tls.Certificate // what it shows to clients
	Value       string           // Taken says of each request whether it holds this
	Env         []string         // NAME=value: the environment
}

// Origin is a running server. Its methods may be called from several goroutines.
type Origin struct {
	Kind
	Addr string // where it listens for TLS

	opts        Options
	application *application
	cmd         *exec.Cmd
	output      output
	exited      chan struct{}
}

// Start starts the program and waits, for at most 20 seconds, until it accepts connections. The caller must Close it.
func Start(kind Kind, opts Options) (*Origin, error) {
	o := &Origin{Kind: kind, opts: opts}
	if err := errors.Join(o.writeCertificate(), os.MkdirAll(o.path("tmp"), 0o700)); err != nil {
		return nil, err
	}
	if kind.before {
		var err error
		if o.application, err = startApplication(opts.Value); err != nil {
			return nil, err
		}
	}
	var err error
	for range 3 { // another program may take the free port before this one does
		if err = o.start(); err == nil {
			return o, nil
		}
	}
	return nil, errors.Join(err, o.Close())
}

func (o *Origin) path(name string) string { return filepath.Join(o.opts.Dir, name) }

func (o *Origin) writeCertificate() error {
	key, err := x509.MarshalPKCS8PrivateKey(o.opts.Certificate.PrivateKey)
	if err != nil {
		return err
	}
	var chain bytes.Buffer
	for _, der := range o.opts.Certificate.Certificate {
		_ = pem.Encode(&chain, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	_ = pem.Encode(&chain, &pem.Block{Type: "PRIVATE KEY", Bytes: key})
	return os.WriteFile(o.path("tls.pem"), chain.Bytes(), 0o600)
}

func (o *Origin) start() error {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	o.Addr = free.Addr().String()
	if err := free.Close(); err != nil {
		return err
	}
	argv, err := o.command(o, o.opts.Program)
	if err != nil {
		return err
	}
	o.cmd = exec.Command(argv[0], argv[1:]...)
	o.cmd.Dir, o.cmd.Env = o.opts.Dir, o.opts.Env
	o.cmd.Stdout, o.cmd.Stderr = &o.output, &o.output
	if err := o.cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	o.exited = exited
	go func() {
		_ = o.cmd.Wait()
		close(exited)
	}()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		select {
		case <-exited:
			return fmt.Errorf("%s ended at once: %s", o.Name, o.output.String())
		default:
		}
		if conn, err := net.Dial("tcp", o.Addr); err == nil {
			return conn.Close()
		}
	}
	return fmt.Errorf("%s does not listen: %s", o.Name, o.output.String())
}

// Close ends the program.
func (o *Origin) Close() error {
	if o.application != nil {
		o.application.close()
	}
	if o.cmd == nil || o.cmd.Process == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = o.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-o.exited:
	case <-ctx.Done():
		_ = o.cmd.Process.Kill()
		<-o.exited
		return fmt.Errorf("%s did not end", o.Name)
	}
	return nil
}

// Log is all that the program has written so far.
func (o *Origin) Log() (string, error) {
	text := o.output.String()
	if o.log == "" {
		return text, nil
	}
	file, err := os.ReadFile(o.path(o.log))
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return text + string(file), err
}

// output is a buffer that may be read while it is written.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
