// Moves a stock client from server to server of a cluster with connection state recovery, and prints what it got. Where it was, it must not notice.
// Arguments: the indices of the servers in the order of the visits, as 0,1,2, a namespace, and the addresses of the servers.
import { io } from 'socket.io-client';
import { encode } from './binary.mjs';

const [route, nsp, ...servers] = process.argv.slice(2);
const call = async (i, q) => (await fetch(`http://${servers[i]}/call`, { method: 'POST', body: JSON.stringify({ nsp, ...q }) })).json();
const until = async (what, is) => {
  for (const end = Date.now() + 30_000; !await is(); await new Promise(r => setTimeout(r, 2))) if (Date.now() > end) throw new Error(`still not: ${what}`);
};
const [first, ...rest] = route.split(',').map(Number);

// An observer on each server shows that an event has passed through it.
const passed = servers.map(() => new Set());
const observers = servers.map((s, i) => io(`http://${s}${nsp}`, { forceNew: true, transports: ['websocket'] }).on('passed', n => passed[i].add(n)));
await until('observers', () => observers.every(o => o.connected));
let marks = 0;
const pass = async i => {
  const n = ++marks;
  await call(i, { op: 'emit', args: ['passed', n], except: ['r'] });
  await until(`mark ${n} everywhere`, () => passed.every(p => p.has(n)));
};

const got = [];
const socket = io(`http://${servers[first]}${nsp}`, { forceNew: true, reconnection: false, transports: ['websocket'] });
const connected = () => new Promise((done, fail) => { socket.once('connect', done); socket.once('connect_error', fail); });
socket.onAny((event, ...args) => got.push([event, ...args.slice(0, -1).map(encode)])); // without the offset
await connected();
const id = socket.id;
await new Promise(done => socket.emit('join', 'r', done));
await call(first, { op: 'emit', rooms: ['r'], args: ['first', 0] });
await until('the first event', () => got.length === 1);
let at = first;
for (const [round, to] of rest.entries()) {
  socket.io.engine.close(); // of the transport, not of the namespace
  await until('it is away', async () => !(await call(at, { op: 'fetchSockets', local: true })).some(s => s.id === id));
  await call(at, { op: 'emit', rooms: ['r'], args: ['missed', round, { $binary: 'AQID' }] });
  await call(at, { op: 'emit', rooms: ['x'], args: ['not in the room'] });
  await call(at, { op: 'emit', except: ['r'], args: ['left out'] });
  await pass(at); // its session is in Redis too
  await call(to, { op: 'emit', args: ['for all', round] });
  await call(to, { op: 'emit', rooms: [id], args: ['for it alone', round] });
  await pass(to);
  socket.io.uri = `http://${servers[to]}`;
  const back = connected();
  socket.connect();
  await back;
  if (!socket.recovered || socket.id !== id) throw new Error(`from ${at} to ${to}: recovered ${socket.recovered}, ${socket.id} was ${id}`);
  await call(at, { op: 'emit', rooms: ['r'], args: ['after', round] });
  await until(`what follows move ${round}: ${JSON.stringify(got)}`, () => got.some(e => e[0] === 'after' && e[1] === round));
  at = to;
}
for (const e of got) console.log(JSON.stringify(e));
for (const o of observers) o.disconnect();
socket.disconnect();
