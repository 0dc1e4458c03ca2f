package framing

import (
	_ "embed" // the programs for Node and Python
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"kz/test/bed"
)

//go:embed origin.js
var nodeProgram []byte

//go:embed origin.py
var pythonProgram []byte

// The servers. HAProxy and nginx take HTTP/1.1 and h2; Apache and both of Python only HTTP/1.1, so that what comes to
// them from an h2 client is written down anew.
var (
	Nginx   = Kind{Name: "nginx", H2: true, command: nginx, log: "access.log", before: true}
	Apache  = Kind{Name: "apache2", command: apache, log: "access.log", before: true}
	HAProxy = Kind{Name: "haproxy", H2: true, command: haproxy, before: true}
	Node    = Kind{Name: "node", H2: true, command: script("origin.js", nodeProgram)}
	Python  = Kind{Name: "python", command: script("origin.py", pythonProgram, "server")}
	AIOHTTP = Kind{Name: "aiohttp", command: script("origin.py", pythonProgram, "aiohttp")}
)

// Kinds are all of them.
var Kinds = []Kind{Nginx, Apache, HAProxy, Node, Python, AIOHTTP}

// write fills in a configuration: DIR, ADDR, PORT and APPLICATION.
func (o *Origin) write(name, text string) error {
	_, port, _ := net.SplitHostPort(o.Addr)
	text = strings.NewReplacer("DIR", o.opts.Dir, "ADDR", o.Addr, "PORT", port, "APPLICATION", o.application.addr).Replace(text)
	return os.WriteFile(o.path(name), []byte(text), 0o600)
}

func nginx(o *Origin, program string) ([]string, error) {
	err := o.write("nginx.conf", `
daemon off;
master_process off;
pid DIR/nginx.pid;
error_log stderr crit;
events { worker_connections 256; }
http {
	log_format seen escape=default 'seen|$remote_port|$status|$http_content_length|$http_transfer_encoding|$request';
	access_log DIR/access.log seen;
	client_body_temp_path DIR/tmp/body;
	proxy_temp_path DIR/tmp/proxy;
	fastcgi_temp_path DIR/tmp/fastcgi;
	uwsgi_temp_path DIR/tmp/uwsgi;
	scgi_temp_path DIR/tmp/scgi;
	keepalive_requests 10000;
	proxy_buffer_size 16k;
	proxy_buffers 8 16k;
	upstream application { server APPLICATION; keepalive 8; }
	server {
		listen ADDR ssl http2;
		ssl_certificate DIR/tls.pem;
		ssl_certificate_key DIR/tls.pem;
		add_header X-Origin nginx always;
		location / {
			proxy_pass http://application;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Host $host;
		}
		location /early/ { return 403 "early"; }
	}
}
`)
	return []string{program, "-p", o.opts.Dir, "-c", o.path("nginx.conf"), "-e", "stderr"}, err
}

func apache(o *Origin, program string) ([]string, error) {
	const modules = "/usr/lib/apache2/modules/"
	var load strings.Builder
	for _, m := range []string{"mpm_event", "authz_core", "ssl", "headers", "proxy", "proxy_http", "rewrite"} {
		fmt.Fprintf(&load, "LoadModule %s_module %smod_%s.so\n", m, modules, m)
	}
	err := o.write("apache.conf", load.String()+`
ServerRoot DIR
ServerName localhost
Listen ADDR
PidFile DIR/apache.pid
DefaultRuntimeDir DIR
User www-data
Group www-data
ErrorLog /dev/stderr
LogLevel crit
LogFormat "seen|%{remote}p|%>s|%{Content-Length}i|%{Transfer-Encoding}i|%r" seen
CustomLog DIR/access.log seen
StartServers 1
ServerLimit 1
ThreadsPerChild 32
MaxRequestWorkers 32
MaxKeepAliveRequests 0
KeepAliveTimeout 60
AllowEncodedSlashes NoDecode
SSLEngine on
SSLCertificateFile DIR/tls.pem
SSLSessionCache none
Header always set X-Origin apache
ProxyPreserveHost On
ProxyPass /early/ !
ProxyPass / http://APPLICATION/ nocanon
RewriteEngine On
RewriteRule ^/early/ - [F]
`)
	return []string{program, "-D", "FOREGROUND", "-d", o.opts.Dir, "-f", o.path("apache.conf")}, err
}

func haproxy(o *Origin, program string) ([]string, error) {
	err := o.write("haproxy.conf", `
global
	log stdout format raw local0 info
	maxconn 256
	tune.bufsize 131072
defaults
	mode http
	log global
	option dontlognull
	timeout connect 5s
	timeout client 60s
	timeout server 60s
	timeout http-keep-alive 60s
frontend tls
	bind ADDR ssl crt DIR/tls.pem alpn h2,http/1.1
	http-request set-var(txn.length) req.fhdr(content-length)
	http-request set-var(txn.encoding) req.fhdr(transfer-encoding)
	http-request deny deny_status 403 if { path_beg /early/ }
	log-format "seen|%cp|%ST|%[var(txn.length)]|%[var(txn.encoding)]|%r"
	http-after-response set-header X-Origin haproxy
	default_backend application
backend application
	server one APPLICATION
`)
	return []string{program, "-db", "-f", o.path("haproxy.conf")}, err
}

func script(name string, text []byte, arguments ...string) func(o *Origin, program string) ([]string, error) {
	return func(o *Origin, program string) ([]string, error) {
		_, port, _ := net.SplitHostPort(o.Addr)
		argv := append([]string{program, o.path(name), port, o.path("tls.pem"), o.opts.Value}, arguments...)
		return argv, os.WriteFile(o.path(name), text, 0o600)
	}
}

// Program finds the program of a kind; see bed.Missing for what happens when it is not there.
func Program(t testing.TB, kind Kind) string {
	t.Helper()
	switch kind.Name {
	case Node.Name:
		return bed.Node(t)
	case Python.Name:
		return bed.Python(t)
	case AIOHTTP.Name:
		return bed.Python(t, "aiohttp")
	}
	return bed.Program(t, kind.Name)
}
