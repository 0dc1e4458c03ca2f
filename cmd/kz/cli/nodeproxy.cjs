'use strict'
// Written by kz for the programs of one run. It has Node.js use the proxy that HTTPS_PROXY and HTTP_PROXY name, credential
// and all, and what NO_PROXY excepts: fetch and WebSocket (undici), http and https, and what connects by itself and speaks HTTP
// over TLS. Since 22.21 and 24.5 Node does a part of that where NODE_USE_ENV_PROXY is set; here every version does the same, and
// tells what the proxy refuses. It is public: what it needs it reads from the environment. Nothing of Node's is loaded before a
// program uses it. An agent of a program's own that connects in its own way, or to another proxy, is left alone.
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
    if (native && major === 22) withoutWarning('UNDICI-EHPA') // "EnvHttpProxyAgent is experimental", for each program
    whenUndiciIsLoaded()
    whenRequestsAreLoaded(() => {
      proxyAgents()
      proxyTLS()
    })
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

  const tunnelCode = 'ERR_PROXY_TUNNEL' // as Node has it since 24.5

  // tunnel gives callback a socket through the proxy to host:port, before any TLS.
  function tunnel (proxy, host, port, callback, timeout) {
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
    if (timeout) {
      request.setTimeout(timeout, () => {
        const err = new Error('the proxy has not answered for ' + to)
        request.destroy(Object.assign(err, { code: tunnelCode, proxyTunnelTimeout: timeout })) // as Node has it
      })
    }
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
      err.code = tunnelCode
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
    if (native) return whenNodeHasSetItsOwn()
    whenUndici8IsLoaded()
    if (globalThis[legacy] !== undefined) { // another --require has used fetch, or set its own
      globalThis[legacy] = inPlaceOf(globalThis[legacy])
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
          whenDefined(legacy, inPlaceOf)
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

  // whenNodeHasSetItsOwn: after what is required, Node loads undici, and then sets a dispatcher for the environment.
  function whenNodeHasSetItsOwn () {
    whenDefined(modern, (value) => kind(value) === 'EnvHttpProxyAgent' && inPlaceOf(value)) // in newer versions
    whenDefined(legacy, (value) => {
      if (kind(value) !== 'EnvHttpProxyAgent' && kind(globalThis[modern]) !== 'ProxyingAgent') return null
      if (changes.delete(modern)) whenUndici8IsLoaded()
      return inPlaceOf(value)
    })
  }

  // The package undici defines dispatchers for itself and for what is older, where there is none of its own yet: else to load it
  // is enough to have both go direct.
  function whenUndici8IsLoaded () {
    if (globalThis[modern] !== undefined) {
      globalThis[modern] = inPlaceOf(globalThis[modern])
      return
    }
    Object.defineProperty(globalThis, modern, {
      configurable: true,
      enumerable: false,
      get () {
        try {
          whenDefined(modern, (value) => {
            whenDefined(legacy, inPlaceOf)
            return inPlaceOf(value)
          })
        } catch (_) {} // a program is not to fail for this
      },
      set (value) { Object.defineProperty(globalThis, modern, { value, writable: true, enumerable: false, configurable: true }) }
    })
  }

  // whenDefined puts what change makes of it in the place of the next dispatcher by that name; if nothing, of the one after it.
  const changes = new Map()
  function whenDefined (name, change) {
    changes.set(name, change)
    const { defineProperty } = Object
    if (defineProperty.changes === changes) return
    Object.defineProperty = function (object, key, descriptor) {
      if (object === globalThis && changes.has(key)) {
        let value
        try { value = changes.get(key)(descriptor.value) } catch (_) { changes.delete(key) } // a program is not to fail for this
        if (value) {
          descriptor = { ...descriptor, value }
          changes.delete(key)
        }
        if (changes.size === 0) Object.defineProperty = defineProperty
      }
      return defineProperty(object, key, descriptor)
    }
    Object.defineProperty.changes = changes
  }

  function kind (dispatcher) { return dispatcher && dispatcher.constructor && dispatcher.constructor.name }

  // inPlaceOf is the dispatcher to have in the place of undici's. The one that Node makes of the environment asks for a tunnel
  // where the text is clear, too, and says nothing of what the proxy refuses; it has one that goes direct inside. undici 8 has
  // a wrapper for older ones.
  const made = new Map()
  function inPlaceOf (before) {
    if (made.has(before)) return made.get(before)
    let ours = before
    if (kind(before) === 'Dispatcher1Wrapper') ours = new before.constructor(globalThis[modern])
    if (kind(before) === 'EnvHttpProxyAgent') ours = Object.getOwnPropertySymbols(before).map((s) => before[s]).find((v) => kind(v) === 'Agent') || before
    if (kind(ours) === 'Agent') ours = proxying(ours)
    made.set(before, ours)
    return ours
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

  // What makes requests asks for its channels as it is loaded, when the agents already are. http2 and undici load it, too.
  function whenRequestsAreLoaded (then) {
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

  // nodeProxies: this version of Node sees to the agent, or it was told not to. A tunnel to our proxy is better made here: Node
  // says nothing of what the proxy refuses.
  const taken = new WeakSet()
  function nodeProxies (agent) {
    if (taken.has(agent)) return false
    const { options } = agent
    const config = Object.getOwnPropertySymbols(agent).find((s) => s.description === 'kProxyConfig')
    if (config && agent[config]) {
      const { host, port } = agent[config].proxyConnectionOptions
      const proxy = agent.protocol === 'https:' && proxyFor('https:')
      if (!proxy || proxy.host !== host || proxy.port !== port) return true
      agent[config] = null
      taken.add(agent)
      return false
    }
    return Boolean(options && 'proxyEnv' in options && (native || !options.proxyEnv))
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
        const own = this.options && this.options.timeout // for sockets that are idle
        if (!proxy) return createConnection.call(this, options, callback)
        tunnel(proxy, host, port, (err, socket) => {
          if (err) return callback(err)
          callback(null, createConnection.call(this, { ...options, socket }))
        }, options.timeout === own ? 0 : options.timeout)
      }
    })
  }

  // proxyTLS has what speaks HTTP without an agent go through the proxy: http2, the package ws, dispatchers that a program makes.
  function proxyTLS () {
    const tls = require('tls')
    const { connect } = tls
    tls.connect = function (...args) {
      const options = {}
      for (const arg of args) {
        if (typeof arg === 'object') Object.assign(options, arg)
        else if (typeof arg === 'string' && isNaN(arg)) options.host = arg
        else if (typeof arg === 'string' || typeof arg === 'number') options.port = arg
      }
      const host = options.host || 'localhost'
      const proxy = speaksHTTP(options) && route('https:', host, options.port)
      if (!proxy) return connect.apply(this, args)
      const listeners = args.filter((arg) => typeof arg === 'function')
      return overTunnel(proxy, host, options, (socket) => connect.call(this, { ...options, socket }, ...listeners))
    }
    require('module').syncBuiltinESMExports()
  }

  // speaksHTTP tells by what is offered, or by who connects: https, for a request without an agent. Agents are seen to, or left
  // alone, above.
  function speaksHTTP ({ socket, path, _agentKey, _defaultAgent, ALPNProtocols }) {
    if (socket || path || _agentKey) return false
    return Boolean(_defaultAgent) || [].concat(ALPNProtocols).some((p) => p === 'h2' || p === 'http/1.1')
  }

  // overTunnel has secure make a TLS socket over a tunnel that is yet to come.
  function overTunnel (proxy, host, { port, timeout }, secure) {
    let inner; let held = true
    const outer = new (require('stream').Duplex)({
      construct (done) {
        tunnel(proxy, host, port || 443, (err, socket) => {
          if (err) return done(err)
          inner = socket
          if (!held) inner.unref()
          inner.on('data', (data) => { if (!outer.push(data)) inner.pause() }).on('end', () => outer.push(null))
          inner.on('error', (err) => outer.destroy(err)).on('close', () => { if (!inner.readableEnded) outer.destroy() })
          done()
        }, timeout)
      },
      read () { inner.resume() },
      write (data, encoding, done) { inner.write(data, done) },
      final (done) { inner.end(done) },
      destroy (err, done) {
        if (inner) inner.destroy()
        done(err)
      }
    })
    const socket = secure(outer)
    for (const name of ['ref', 'unref']) {
      socket[name] = () => {
        held = name === 'ref'
        if (inner) inner[name]()
        return socket
      }
    }
    return socket
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
