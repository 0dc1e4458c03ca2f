'use strict'
// Written by kz for the programs of one run. It has Node.js use the proxy that HTTPS_PROXY and HTTP_PROXY name, credential
// and all, and what NO_PROXY excepts, in versions that do not know NODE_USE_ENV_PROXY: fetch and WebSocket (undici), http and
// https. Since 22.21 and 24.5 Node does that itself; what it leaves out is still done here: agents that a program makes, and
// the package undici where it is newer than Node's own. It is public: what it needs it reads from the environment. Nothing
// of Node's is loaded before a program uses it. A program's own dispatcher, or agent that connects in a way of its own, is
// left alone.
;(() => {
  const env = process.env
  const legacy = Symbol.for('undici.globalDispatcher.1') // up to undici 7
  const modern = Symbol.for('undici.globalDispatcher.2') // since undici 8

  const { versions } = process
  const [major, minor] = versions.node.split('.').map(Number)
  const native = major > 24 || (major === 24 && minor >= 5) || (major === 22 && minor >= 21)

  function main () {
    if (versions.bun || versions.deno || env.NODE_USE_ENV_PROXY !== '1') return
    if (!proxyFor('https:')) return
    if (!native) whenUndiciIsLoaded()
    else if (major === 22) withoutWarning('UNDICI-EHPA') // "EnvHttpProxyAgent is experimental", for each program
    if (versions.undici && globalThis[modern] === undefined) shareWithUndici8()
    whenHTTPIsLoaded(proxyAgents)
  }

  // withoutWarning keeps a warning back, once, that Node makes as it starts.
  function withoutWarning (code) {
    const { emit } = process
    process.emit = function (event, warning) {
      if (event !== 'warning' || !warning || warning.code !== code) return emit.apply(this, arguments)
      process.emit = emit
      return true
    }
  }

  // --- what the environment says ---

  function proxyFor (protocol) {
    const name = protocol === 'https:' ? 'https_proxy' : 'http_proxy'
    const value = env[name] || env[name.toUpperCase()]
    if (!value) return null
    let url
    try { url = new URL(value) } catch (_) { return null }
    if (url.protocol !== 'http:') return null
    const user = decodeURIComponent(url.username) + ':' + decodeURIComponent(url.password)
    return {
      origin: url.origin,
      host: bare(url.hostname),
      port: Number(url.port) || 80,
      authorization: user === ':' ? null : 'Basic ' + Buffer.from(user).toString('base64')
    }
  }

  // route is the proxy to a place, or null when it is reached directly.
  function route (protocol, host, port) {
    return excepted(bare(host), String(port || defaultPort(protocol))) ? null : proxyFor(protocol)
  }

  function excepted (host, port) {
    return (env.no_proxy || env.NO_PROXY || '').split(/[\s,]+/).some((entry) => {
      if (entry === '') return false
      if (entry === '*') return true
      const at = /^(\[.*\]|[^:]*):(\d+)$/.exec(entry) // not ::1
      if (at && at[2] !== port) return false
      const name = bare(at ? at[1] : entry).toLowerCase()
      const suffix = name.replace(/^\*?\.?/, '.')
      host = host.toLowerCase()
      return /^[*.]/.test(name) ? host.endsWith(suffix) : host === name
    })
  }

  // hostname is a host as a request line may have it, which Node does not check again; '' when it could be more than that.
  function hostname (host) {
    if (require('net').isIP(bare(host))) return host
    return /[\0-\x20/?#@:\\%[\]]/.test(host) ? '' : require('url').domainToASCII(host)
  }

  function bare (host) { return host.replace(/^\[(.*)\]$/, '$1') }
  function defaultPort (protocol) { return protocol === 'https:' ? 443 : 80 }
  function authority (host, port) { return (host.includes(':') ? '[' + host + ']' : host) + ':' + port }

  // --- the tunnel ---

  // tunnel gives callback a socket through the proxy to host:port, before any TLS.
  function tunnel (proxy, host, port, callback) {
    const to = authority(bare(host), port)
    const headers = { Host: to }
    if (proxy.authorization) headers['Proxy-Authorization'] = proxy.authorization
    let request; const createConnection = () => require('net').connect({ host: proxy.host, port: proxy.port, noDelay: true })
    try { request = require('http').request({ method: 'CONNECT', path: to, headers, createConnection }) } catch (err) {
      return process.nextTick(callback, err) // no host has such a name
    }
    request.once('connect', (response, socket, head) => {
      request.removeListener('error', callback)
      if (response.statusCode !== 200) return readRefusal(to, response, socket, head, callback)
      if (head.length > 0) socket.unshift(head)
      callback(null, socket)
    })
    request.once('error', callback)
    request.end()
  }

  // readRefusal makes an error of what the proxy answered: kz says why, and what mends it.
  function readRefusal (to, response, socket, head, callback) {
    const limit = 64 * 1024
    const length = Math.min(Number(response.headers['content-length']) || 0, limit)
    const chunks = [head]
    let have = head.length
    let told = false
    const tell = () => {
      if (told) return
      told = true
      socket.destroy()
      let said = {}
      try { said = JSON.parse(Buffer.concat(chunks).toString('utf8')).error || {} } catch (_) {}
      const code = response.headers['kz-error'] || said.code || response.statusMessage
      let text = 'the proxy refused ' + to + ': ' + response.statusCode + ' ' + code
      if (said.message) text += ': ' + said.message
      if (said.hint) text += ' (hint: ' + said.hint + ')'
      const err = new Error(text)
      err.code = 'ERR_PROXY_TUNNEL' // as Node has it since 24.5
      err.statusCode = response.statusCode
      callback(err)
    }
    socket.on('error', tell).on('end', tell).on('close', tell).setTimeout(5000, tell)
    if (have >= length) return tell()
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      have += chunk.length
      if (have >= length) tell()
    })
    socket.resume()
  }

  // --- fetch, WebSocket and undici ---

  // The dispatcher can be made only of a class that undici has, and undici is not to be loaded before it is needed. As it is
  // loaded it asks for the dispatcher of all, and where there is none it defines its own: that is when ours takes its place.
  function whenUndiciIsLoaded () {
    const before = globalThis[legacy]
    if (before !== undefined) { // another --require has used fetch, or set its own
      if (before.constructor.name === 'Agent') globalThis[legacy] = proxying(before)
      return
    }
    let asking = false
    Object.defineProperty(globalThis, legacy, {
      configurable: true,
      enumerable: false,
      get () {
        if (asking) return undefined
        asking = true
        try {
          whenDefined(proxying)
          if (calledBy('node:internal/deps/undici/undici')) return undefined
          // The package undici is loaded, or a program asks: Node's own comes first. fetch loads it and sends nothing; its
          // classes would, too, but V8 ends the process where one of them is asked for while another is.
          if (typeof globalThis.fetch === 'function') globalThis.fetch('data:,').catch(() => {})
        } catch (_) {} // a program is not to fail for this
        asking = false
        const own = Object.getOwnPropertyDescriptor(globalThis, legacy)
        return own && own.value
      },
      set (value) { Object.defineProperty(globalThis, legacy, { value, writable: true, enumerable: false, configurable: true }) }
    })
  }

  // calledBy: the caller's caller is of this file.
  function calledBy (file) {
    const { prepareStackTrace, stackTraceLimit } = Error
    try {
      Error.prepareStackTrace = undefined
      Error.stackTraceLimit = 4
      return String(new Error().stack).includes(file)
    } finally {
      Error.prepareStackTrace = prepareStackTrace
      Error.stackTraceLimit = stackTraceLimit
    }
  }

  // whenDefined puts what change makes of it in the place of the next dispatcher of all.
  function whenDefined (change) {
    const { defineProperty } = Object
    Object.defineProperty = function (object, key, descriptor) {
      if (object !== globalThis || key !== legacy) return defineProperty(object, key, descriptor)
      Object.defineProperty = defineProperty
      try { descriptor = { ...descriptor, value: change(descriptor.value) } } catch (_) {} // a program is not to fail for this
      return defineProperty(object, key, descriptor)
    }
  }

  // shareWithUndici8 gives the package undici the dispatcher of Node's own undici where that is older than 8. Else to load the
  // package is enough to have both go direct.
  function shareWithUndici8 () {
    const old = () => globalThis[legacy]
    const shared = Object.assign(new (require('events'))(), {
      dispatch: (options, handler) => old().dispatch(options, handler.onRequestStart ? forUndici7(handler) : handler),
      compose: (...interceptors) => old().compose.apply(shared, interceptors),
      close: (...args) => old().close(...args),
      destroy: (...args) => old().destroy(...args)
    })
    Object.defineProperty(globalThis, modern, {
      configurable: true,
      enumerable: false,
      get: () => shared,
      set (value) { Object.defineProperty(globalThis, modern, { value, writable: true, enumerable: false, configurable: true }) }
    })
  }

  // forUndici7 is a handler of undici 8 as the versions before know them.
  function forUndici7 (handler) {
    const controller = {
      paused: false, aborted: false, reason: null, rawHeaders: null, rawTrailers: null,
      pause () { controller.paused = true },
      resume () { if (controller.paused) { controller.paused = false; if (resume) resume() } }
    }
    let resume
    return {
      onConnect (abort, context) {
        controller.abort = (reason) => {
          if (controller.aborted) return
          controller.aborted = true
          controller.reason = reason
          abort(reason)
        }
        handler.onRequestStart(controller, context)
      },
      onBodySent (...args) { if (handler.onBodySent) handler.onBodySent(...args) },
      onRequestSent () { if (handler.onRequestSent) handler.onRequestSent() },
      onResponseStarted () { if (handler.onResponseStarted) handler.onResponseStarted() },
      onUpgrade (status, headers, socket) {
        controller.rawHeaders = headers
        if (handler.onRequestUpgrade) handler.onRequestUpgrade(controller, status, byName(headers), socket)
      },
      onHeaders (status, headers, resumes, text) {
        resume = resumes
        controller.rawHeaders = headers
        if (handler.onResponseStart) handler.onResponseStart(controller, status, byName(headers), text)
        return !controller.paused
      },
      onData (chunk) {
        if (handler.onResponseData) handler.onResponseData(controller, chunk)
        return !controller.paused
      },
      onComplete (trailers) {
        controller.rawTrailers = trailers
        if (handler.onResponseEnd) handler.onResponseEnd(controller, byName(trailers))
      },
      onError (err) {
        if (handler.onResponseError) handler.onResponseError(controller, err)
      }
    }
  }

  // byName has the raw headers of undici, names and values in turn, by name.
  function byName (raw) {
    const headers = {}
    for (let i = 0; raw && i < raw.length; i += 2) {
      const name = raw[i].toString('latin1').toLowerCase()
      const values = [].concat(raw[i + 1]).map((v) => v.toString('latin1'))
      const all = [].concat(headers[name] === undefined ? [] : headers[name], values)
      headers[name] = all.length === 1 ? all[0] : all
    }
    return headers
  }

  // proxying is a dispatcher of direct's class that goes through the proxy.
  function proxying (direct) {
    class ProxyingAgent extends direct.constructor {
      dispatch (options, handler) {
        if (!options || !options.origin) return direct.dispatch(options, handler) // which says what is wrong
        const url = new URL(options.origin)
        const proxy = route(url.protocol, url.hostname, url.port)
        if (!proxy) return direct.dispatch(options, handler)
        // Not what undici follows by itself, with all that stands in the headers, or whose path could make another host of it.
        if (url.protocol === 'http:' && !options.upgrade && !options.maxRedirections && String(options.path).startsWith('/')) {
          // In absolute form, so that the proxy can say what it refuses of it.
          options = { ...options, origin: proxy.origin, path: url.origin + options.path, headers: withProxy(options.headers, url.host, proxy) }
        }
        return super.dispatch(options, handler)
      }
    }
    return new ProxyingAgent({ connect })
  }

  function withProxy (headers, host, proxy) {
    const flat = []
    if (Array.isArray(headers)) {
      flat.push(...headers)
    } else if (headers) {
      for (const pair of typeof headers[Symbol.iterator] === 'function' ? headers : Object.entries(headers)) flat.push(...pair)
    }
    if (!flat.some((h, i) => i % 2 === 0 && String(h).toLowerCase() === 'host')) flat.push('host', host)
    if (proxy.authorization) flat.push('proxy-authorization', proxy.authorization)
    return flat
  }

  // connect is undici's: it gives callback a socket on which a request can be sent.
  function connect ({ hostname, protocol, port, servername }, callback) {
    const net = require('net')
    const host = bare(hostname)
    port = Number(port) || defaultPort(protocol)
    const proxy = proxyFor(protocol)
    if (!proxy) return callback(new Error('HTTPS_PROXY and HTTP_PROXY are no longer set'))
    const once = (err, socket) => { const c = callback; callback = () => {}; c(err, socket) }
    const settle = (socket, event) => {
      socket.once(event, () => once(null, socket)).on('error', (err) => once(err))
      socket.setNoDelay(true)
      socket.setKeepAlive(true, 60e3) // as undici does
    }
    if (protocol === 'http:' && host === proxy.host && port === proxy.port) return settle(net.connect({ host, port }), 'connect')
    tunnel(proxy, host, port, (err, socket) => {
      if (err || protocol !== 'https:') return once(err, socket)
      settle(require('tls').connect({
        socket, host, servername: servername || (net.isIP(host) ? '' : host), ALPNProtocols: ['http/1.1']
      }), 'secureConnect')
    })
  }

  // --- http and https ---

  // What makes requests asks for its channels as it is loaded, when the agents already are.
  function whenHTTPIsLoaded (then) {
    if (process.moduleLoadList.includes('NativeModule _http_client')) return then()
    const channels = require('diagnostics_channel')
    const { channel } = channels
    channels.channel = function (name) {
      if (String(name).startsWith('http.client.')) {
        channels.channel = channel
        try { then() } catch (_) {} // a program is not to fail for this
      }
      return channel.apply(this, arguments)
    }
  }

  function proxyAgents () {
    const { Agent } = require('_http_agent')
    const { addRequest, createConnection } = Agent.prototype
    Agent.prototype.addRequest = function (req, options, port, localAddress) {
      if (typeof options === 'string') options = { host: options, port, localAddress } // an old form
      if (options && req && req.method !== 'CONNECT' && !options.socketPath && !(this.options && this.options.socketPath)) {
        if (nodeProxies(this)) return addRequest.call(this, req, options)
        if (this.protocol === 'https:') throughTunnel(this)
        else if (this.createConnection === createConnection) options = inAbsoluteForm(req, options)
      }
      return addRequest.call(this, req, options)
    }
  }

  // nodeProxies: this version of Node sees to the agent, or it was told not to.
  function nodeProxies (agent) {
    const { options } = agent
    if (options && 'proxyEnv' in options && (native || !options.proxyEnv)) return true
    return Object.getOwnPropertySymbols(agent).some((s) => s.description === 'kProxyConfig' && agent[s])
  }

  // throughTunnel has an agent that connects as https does do so through the proxy.
  function throughTunnel (agent) {
    const { createConnection } = require('https').Agent.prototype
    if (agent.createConnection !== createConnection) return
    Object.defineProperty(agent, 'createConnection', {
      configurable: true,
      enumerable: false,
      writable: true,
      value: function (options, callback) {
        const host = options.host || 'localhost'
        const port = options.port || 443
        const proxy = options.socket ? null : route('https:', host, port)
        if (!proxy) return createConnection.call(this, options, callback)
        tunnel(proxy, host, port, (err, socket) => {
          if (err) return callback(err)
          callback(null, createConnection.call(this, { ...options, socket }))
        })
      }
    })
  }

  // inAbsoluteForm addresses a request of http to the proxy, and says where that is.
  function inAbsoluteForm (req, options) {
    const host = hostname(options.host || 'localhost')
    const port = Number(options.port) || 80
    const proxy = host && String(req.path).startsWith('/') && route('http:', host, port)
    if (!proxy) return options
    const start = req.method + ' ' + req.path + ' HTTP/'
    req.path = 'http://' + (port === 80 ? authority(bare(host), port).replace(/:80$/, '') : authority(bare(host), port)) + req.path
    if (!req._header) {
      if (proxy.authorization) req.setHeader('Proxy-Authorization', proxy.authorization)
    } else { // given as a list, they have been written
      const written = req._header
      const lines = written.replace(start, () => req.method + ' ' + req.path + ' HTTP/')
      req._header = proxy.authorization ? lines.replace('\r\n', () => '\r\nProxy-Authorization: ' + proxy.authorization + '\r\n') : lines
      const first = req.outputData && req.outputData[0]
      if (first && typeof first.data === 'string' && first.data.startsWith(written)) {
        first.data = req._header + first.data.slice(written.length)
      }
    }
    return { ...options, host: proxy.host, hostname: proxy.host, port: proxy.port }
  }

  try { main() } catch (_) {} // a program is not to fail for this
})()
