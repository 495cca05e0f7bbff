// A Socket.IO server as people write them: who emits "subscribe" is in a room, and what is posted to /ROOM is emitted to it. Prints its port.
// With the argument recovery it has connection state recovery.
import { Server } from 'socket.io';
import http from 'node:http';

const server = http.createServer((request, response) => {
  if (request.method !== 'POST') return response.writeHead(405).end();
  const chunks = [];
  request.on('data', c => chunks.push(c));
  request.on('end', () => {
    io.to(decodeURIComponent(request.url.slice(1))).emit('message', Buffer.concat(chunks).toString());
    response.writeHead(204).end();
  });
});
const io = new Server(server, process.argv[2] === 'recovery' ? { connectionStateRecovery: {} } : {});
io.on('connection', socket => socket.on('subscribe', room => socket.join(room)));
server.listen(0, '127.0.0.1', () => console.log(`127.0.0.1:${server.address().port}`));
