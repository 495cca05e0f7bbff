// A Socket.IO server of a cluster, with one of the adapters for Redis, whose calls a test makes over HTTP: POST /call with {op, …}.
// Arguments: FORM (redis, redis-sharded, redis-streams), CLIENT (ioredis, redis), SOCKET of Redis, a name, and options of the adapter as JSON. Prints its address.
// In place of SOCKET: cluster:PORT,PORT or sentinel:PORT/MASTER of this machine.
import { Server } from 'socket.io';
import http from 'node:http';
import * as classic from '@socket.io/redis-adapter';
import * as streams from '@socket.io/redis-streams-adapter';
import { Redis } from 'ioredis';
import { createClient, createCluster } from 'redis';
import { decode, encode } from './binary.mjs';

const [form, client, path, name, options] = process.argv.slice(2);
const [kind, where] = path.split(':');
const open = {
  'cluster ioredis': () => new Redis.Cluster(where.split(',').map(port => ({ host: '127.0.0.1', port })), { shardedSubscribers: form === 'redis-sharded' }),
  'cluster redis': () => createCluster({ rootNodes: where.split(',').map(port => ({ url: `redis://127.0.0.1:${port}` })) }),
  'sentinel ioredis': () => new Redis({ sentinels: [{ host: '127.0.0.1', port: where.split('/')[0] }], name: where.split('/')[1] }),
  ioredis: () => new Redis({ path }),
  redis: () => createClient({ socket: { path } }),
};
const connect = async () => {
  const c = open[where ? `${kind} ${client}` : client]();
  c.on('error', () => {});
  if (client !== 'ioredis') await c.connect();
  return c;
};
const opts = JSON.parse(options || '{}');
const pub = await connect();
const adapters = {
  redis: async () => classic.createAdapter(pub, await connect(), opts),
  'redis-sharded': async () => classic.createShardedAdapter(pub, await connect(), opts),
  'redis-streams': async () => streams.createAdapter(pub, opts),
};
const server = http.createServer();
const io = new Server(server, {
  adapter: await adapters[form](), serveClient: false,
  ...(form === 'redis-streams' && opts.recovery ? { connectionStateRecovery: {} } : {}),
});

const heard = [];
for (const nsp of [io.of('/'), io.of('/some'), ...(name === 'a' ? [io.of('/only-a')] : [])]) listen(nsp);
io.of(/^\/dynamic-/).on('connection', () => {});
io.on('new_namespace', listen);
function listen(nsp) {
  nsp.on('connection', socket => {
    socket.data = { at: name };
    socket.on('join', (room, done) => { socket.join(room); done(); });
  });
  nsp.on('hello', (...args) => heard.push([nsp.name, 'hello', ...args.map(encode)]));
  nsp.on('ask', (x, ack) => ack?.({ from: 'server', x }));
  nsp.on('binary', (data, ack) => ack?.(data));
  nsp.on('silent', () => {});
}

const failed = e => ({ error: e.message.replace(/\d+/g, 'N'), partial: (e.responses ?? []).map(encode) });
async function call(q) {
  const nsp = io.of(q.nsp ?? '/');
  let to = nsp;
  if (q.rooms) to = to.to(q.rooms);
  if (q.except) to = to.except(q.except);
  if (q.volatile) to = to.volatile;
  if (q.compress !== undefined) to = to.compress(q.compress);
  if (q.local) to = to.local;
  if (q.timeout) to = to.timeout(q.timeout);
  const args = (q.args ?? []).map(decode);
  switch (q.op) {
    case 'emit': to.emit(...args); return null;
    case 'emitWithAck': return (await to.emitWithAck(...args)).map(encode);
    case 'socketsJoin': to.socketsJoin(q.names); return null;
    case 'socketsLeave': to.socketsLeave(q.names); return null;
    case 'disconnectSockets': to.disconnectSockets(q.close); return null;
    case 'fetchSockets': return (await to.fetchSockets()).map(s => ({
      id: s.id, rooms: [...s.rooms], data: s.data,
      handshake: { ...s.handshake, headers: Object.keys(s.handshake.headers).sort(), time: typeof s.handshake.time, issued: typeof s.handshake.issued },
    }));
    case 'fetchAndEmit': {
      const [s] = await to.fetchSockets();
      s.emit(...args);
      s.join('fetched');
      return encode(await s.timeout(30000).emitWithAck('question', 1));
    }
    case 'serverSideEmit': nsp.serverSideEmit(...args); return null;
    case 'serverSideEmitWithAck': return (await nsp.serverSideEmitWithAck(...args)).map(encode);
    case 'allRooms': return [...await nsp.adapter.allRooms()].sort();
    case 'serverCount': return await nsp.adapter.serverCount();
    case 'heard': return heard.splice(0);
    case 'hang': { const end = Date.now() + q.ms; while (Date.now() < end); return null; }
  }
  throw new Error('unknown call ' + q.op);
}
server.on('request', (request, response) => {
  if (!request.url.startsWith('/call')) return;
  const chunks = [];
  request.on('data', c => chunks.push(c));
  request.on('end', async () => {
    const result = await call(JSON.parse(Buffer.concat(chunks))).catch(failed);
    response.end(JSON.stringify(result ?? null));
  });
});
server.listen(0, '127.0.0.1', () => console.log(`127.0.0.1:${server.address().port}`));
process.stdin.resume().on('end', () => process.exit());
