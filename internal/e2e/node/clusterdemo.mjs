// A Socket.IO server of make demo-cluster: Redis by Sentinel, the adapter for Redis, and an event
// fifty times a second to all clients of the cluster.
// Arguments: NUMBER, HOST:PORT to listen on, SENTINEL:PORT,…
import { Server } from 'socket.io';
import http from 'node:http';
import { createAdapter } from '@socket.io/redis-adapter';
import { Redis } from 'ioredis';

const [number, listen, list] = process.argv.slice(2);
const sentinels = list.split(',').map(one => ({ host: one.split(':')[0], port: +one.split(':')[1] }));
const connect = () => {
  const c = new Redis({ sentinels, name: 'main', sentinelRetryStrategy: () => 100, retryStrategy: () => 100, maxRetriesPerRequest: null });
  c.on('error', () => {}); // it comes back
  return c;
};
const server = http.createServer();
const io = new Server(server, { adapter: createAdapter(connect(), connect()), serveClient: false });
const [host, port] = listen.split(':');
server.listen(+port, host);
let n = 0;
setInterval(() => io.emit('tick', +number, ++n, Date.now()), 20);
