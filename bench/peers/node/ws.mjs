// The rival on npm ws, by its README:
//
//   - bufferutil is installed: ws takes its native masking by itself;
//   - permessage-deflate with --compress only, and then for each receiver anew; no client tracking: the room is a Set of our own;
//   - a broadcast is send() to each, as in the README's example; ws has no public way to encode it once. One buffer is shared by all;
//   - who owes more than lagBytesMax (bufferedAmount) is terminated: ws has no bound of its own;
//   - pongs are sent by ws itself.
import { WebSocketServer } from 'ws'

import { compress, lagBytesMax, listen, messageBytesMax, notFound } from './peer.mjs'

const perMessageDeflate = compress && { serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 512 }
const sockets = new WebSocketServer({ noServer: true, perMessageDeflate, clientTracking: false, maxPayload: messageBytesMax })
const room = new Set()

function echo(socket) {
  socket.on('message', (data, binary) => socket.send(data, { binary }))
}

function broadcast(socket) {
  room.add(socket)
  socket.on('close', () => room.delete(socket))
  socket.on('message', (data, binary) => {
    const options = { binary }
    for (const member of room) {
      member.send(data, options)
      if (member.bufferedAmount > lagBytesMax) member.terminate()
    }
  })
}

const paths = new Map([['/echo', echo], ['/broadcast', broadcast]])

listen(notFound).on('upgrade', (request, stream, head) => {
  const serve = paths.get(request.url.split('?', 1)[0])
  if (!serve) {
    stream.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
    return
  }
  sockets.handleUpgrade(request, stream, head, (socket) => {
    socket.on('error', () => {}) // the close that follows says enough
    serve(socket)
  })
})
