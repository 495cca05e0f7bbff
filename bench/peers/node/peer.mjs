// What the two rivals on Node do alike: flags, bounds, the listening line, the end at TERM.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { parseArgs } from 'node:util'

// Bounds, the same as those of the rivals in Go (../peer).
export const messageBytesMax = 64 * 1024
export const lagBytesMax = 1024 * 1024
const headMilliseconds = 5000

// --loops is taken, because all rivals take it, and without meaning: Node has one event loop.
const { values } = parseArgs({
  options: { listen: { type: 'string', default: '127.0.0.1:0' }, loops: { type: 'string', default: '1' }, compress: { type: 'boolean', default: false }, cert: { type: 'string' }, key: { type: 'string' } },
})

// Whether permessage-deflate is asked for.
export const compress = values.compress

// The suite of TLS 1.3 that the rivals in Go choose; OpenSSL would prefer AES-256.
const ciphers = 'TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256'

function create(options, request) {
  if (!values.cert) return createServer(options, request)
  return createSecureServer({ ...options, cert: readFileSync(values.cert), key: readFileSync(values.key), ciphers }, request)
}

/** Starts a server for whoever attaches to it: HTTPS with --cert and --key, else HTTP. */
export function listen(request) {
  const colon = values.listen.lastIndexOf(':')
  const server = create({ headersTimeout: headMilliseconds, requestTimeout: headMilliseconds, noDelay: true }, request)
  server.listen({ host: values.listen.slice(0, colon), port: Number(values.listen.slice(colon + 1)), backlog: 4096 }, () => {
    const { address, port } = server.address()
    console.log(`listening on ${address}:${port}`)
  })
  process.on('SIGTERM', () => process.exit(0))
  process.on('SIGINT', () => process.exit(0))
  return server
}

/** Answers a request for a path that is not there. */
export function notFound(_request, response) {
  response.writeHead(404, { 'Content-Length': 0 }).end()
}
