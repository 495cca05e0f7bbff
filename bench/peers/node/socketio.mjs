// The rival on npm socket.io, by the performance page of its documentation. It speaks Socket.IO 5 over Engine.IO 4, which a client of raw frames does not: it is
// driven in text frames (40/echo, and then 42/echo,["message",ANY]).
//
//   - an event "echo" to the main namespace is acknowledged with its argument;
//   - the path of the others is the namespace here: /echo and /broadcast; an event "message" goes in and the same comes out. The main
//     namespace is a room too, for clients that know no other;
//   - WebSocket only, no polling before it; bufferutil is installed, and ws takes it;
//   - no compression, no connection state recovery, no client bundle; the first request of a connection is let go of, as that page advises;
//   - a broadcast is emit() to a namespace: the adapter encodes it once, and as a frame when it is text;
//   - heartbeats as by default, because they are its only bound on a reader that stands still: after 45 s it is closed.
//
// POST /publish emits its body, as text, to the main namespace.
import { Server } from 'socket.io'

import { listen, messageBytesMax, notFound } from './peer.mjs'

const server = listen((request, response) => {
  if (request.method !== 'POST' || request.url !== '/publish') {
    notFound(request, response)
    return
  }
  let body = ''
  request.setEncoding('utf8')
  request.on('data', (part) => {
    body += part
    if (body.length > messageBytesMax) request.destroy()
  })
  request.on('end', () => {
    io.emit('message', body)
    response.writeHead(200, { 'Content-Length': 0 }).end()
  })
})

const io = new Server(server, {
  transports: ['websocket'],
  serveClient: false,
  perMessageDeflate: false,
  httpCompression: false,
  maxHttpBufferSize: messageBytesMax,
})

io.engine.on('connection', (socket) => {
  socket.request = null
})

io.of('/echo').on('connection', (socket) => {
  socket.on('message', (data) => socket.emit('message', data))
})

io.on('connection', (socket) => {
  socket.on('echo', (data, acknowledge) => acknowledge(data))
})

for (const name of ['/', '/broadcast']) {
  const room = io.of(name)
  room.on('connection', (socket) => {
    socket.on('message', (data) => room.emit('message', data))
  })
}
