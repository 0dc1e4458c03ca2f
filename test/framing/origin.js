// An application on Node's http2 and http: it says on its standard output what it reads.
const [port, pem, value] = process.argv.slice(2);
const crypto = require('node:crypto');
const fs = require('node:fs');
const http2 = require('node:http2');

const say = (...words) => fs.writeSync(1, words.join('|') + '\n');
const tls = fs.readFileSync(pem);
const server = http2.createSecureServer({ key: tls, cert: tls, allowHTTP1: true });

server.on('request', (request, response) => {
	const conn = request.httpVersionMajor === 2 ? request.stream.session.socket.remotePort : request.socket.remotePort;
	const line = `${request.method} ${request.url} HTTP/${request.httpVersion}`;
	const headers = request.headers;
	say('seen', conn, 200, headers['content-length'] ?? '', headers['transfer-encoding'] ?? '', line);
	response.setHeader('X-Origin', 'node');
	response.setHeader('X-Target', request.url);
	if (request.url.startsWith('/early/')) {
		response.statusCode = 403;
		response.end('early');
		request.resume();
		return;
	}
	const pieces = [];
	request.on('data', (piece) => pieces.push(piece));
	request.on('end', () => {
		if (request.aborted) return;
		const body = Buffer.concat(pieces);
		const raw = [...request.rawHeaders, JSON.stringify(request.trailers)];
		const all = Buffer.concat([Buffer.from(line + '\n' + raw.join('\n') + '\n'), body]);
		say('took', JSON.stringify({
			method: request.method, target: request.url, sum: crypto.createHash('sha256').update(body).digest('hex'),
			value: all.includes(value), header: { ...headers }, trailer: { ...request.trailers },
			length: headers['content-length'] ?? '', encoding: headers['transfer-encoding'] ?? '',
		}));
		response.end(request.method === 'HEAD' ? undefined : 'taken\n');
	});
});
server.on('clientError', (error, socket) => {
	if (error.code !== 'ECONNRESET' && error.bytesParsed !== undefined) say('seen', socket.remotePort, 400, '', '', 'BAD ' + error.code);
	socket.end('HTTP/1.1 400 Bad Request\r\nX-Origin: node\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
});
server.on('error', (error) => { throw error; });
server.listen(Number(port), '127.0.0.1');
