"""Applications on Python's http.server and on aiohttp: each says on its standard output what it reads."""
import asyncio
import hashlib
import http.server
import json
import logging
import os
import socketserver
import ssl
import sys

port, pem, value, which = int(sys.argv[1]), sys.argv[2], sys.argv[3].encode(), sys.argv[4]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(pem)


def say(*words):
    os.write(1, ("|".join(str(w) for w in words) + "\n").encode("utf-8", "backslashreplace"))


def took(method, target, headers, body):
    text = "\n".join(f"{k}: {v}" for k, v in headers)
    plain = {k.lower(): v for k, v in headers}
    say("took", json.dumps({
        "method": method, "target": target, "sum": hashlib.sha256(body).hexdigest(),
        "value": value in f"{method} {target}\n{text}\n".encode("utf-8", "surrogateescape") + body,
        "header": plain, "length": plain.get("content-length", ""), "encoding": plain.get("transfer-encoding", ""),
    }))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "python"
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def send_error(self, code, message=None, explain=None):
        if self.raw_requestline:
            say("seen", self.client_address[1], code, "", "", "BAD " + self.raw_requestline.decode("latin-1").strip())
        super().send_error(code, message, explain)

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.take
        raise AttributeError(name)

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            length = int(self.headers.get("Content-Length", "0"))
            body = self.rfile.read(length)
            if len(body) < length:
                raise ConnectionError
            return body
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline() not in (b"\r\n", b"\n", b""):
            pass
        return body

    def take(self):
        say("seen", self.client_address[1], 200, self.headers.get("Content-Length", ""),
            self.headers.get("Transfer-Encoding", ""), self.requestline)
        early = self.path.startswith("/early/")
        answer = b"early" if early else b"taken\n"
        if early:
            self.close_connection = True
        else:
            body = self.body()
            took(self.command, self.path, self.headers.items(), body)
        self.send_response(403 if early else 200)
        self.send_header("X-Origin", "python")
        self.send_header("X-Target", self.path)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def finish_request(self, request, client_address):
        request.settimeout(60)
        request = context.wrap_socket(request, server_side=True)
        self.RequestHandlerClass(request, client_address, self)
        request.close()

    def handle_error(self, request, client_address):
        pass


async def serve_aiohttp():
    from aiohttp import web

    class Failures(logging.Handler):
        def emit(self, record):
            say("seen", 0, 400, "", "", "BAD " + record.getMessage())

    logging.getLogger("aiohttp.server").addHandler(Failures())

    async def take(request):
        conn = request.transport.get_extra_info("peername")[1]
        headers = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in request.raw_headers]
        plain = {k.lower(): v for k, v in headers}
        target = request.raw_path
        say("seen", conn, 200, plain.get("content-length", ""), plain.get("transfer-encoding", ""),
            f"{request.method} {target} HTTP/{request.version.major}.{request.version.minor}")
        shown = {"X-Origin": "aiohttp", "X-Target": target}
        if target.startswith("/early/"):
            return web.Response(status=403, text="early", headers=shown)
        body = await request.read()
        took(request.method, target, headers, body)
        return web.Response(text="taken\n", headers=shown)

    server = web.Server(take, max_line_size=131072, max_field_size=131072, keepalive_timeout=60)
    await asyncio.get_running_loop().create_server(server, "127.0.0.1", port, ssl=context, backlog=128)
    await asyncio.Event().wait()


if which == "aiohttp":
    asyncio.run(serve_aiohttp())
else:
    Server(("127.0.0.1", port), Handler).serve_forever()
