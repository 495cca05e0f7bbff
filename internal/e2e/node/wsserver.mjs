// An npm ws server as people write them: /echo sends back, everybody else hears what is posted. Prints its port.
import { WebSocketServer, WebSocket } from 'ws';
import http from 'node:http';

const everybody = new Set();
const server = http.createServer((request, response) => {
  const chunks = [];
  request.on('data', c => chunks.push(c));
  request.on('end', () => {
    const message = Buffer.concat(chunks);
    for (const ws of everybody) if (ws.readyState === WebSocket.OPEN) ws.send(message, { binary: false });
    response.writeHead(204).end();
  });
});
const wss = new WebSocketServer({ server });
wss.on('connection', (ws, request) => {
  if (request.url === '/echo') {
    ws.on('message', (data, binary) => ws.send(data, { binary }));
    return;
  }
  everybody.add(ws);
  ws.on('close', () => everybody.delete(ws));
  ws.on('message', (data, binary) => { for (const other of everybody) other.send(data, { binary }); });
});
server.listen(0, '127.0.0.1', () => console.log(`127.0.0.1:${server.address().port}`));
