// Makes all calls that servers of a cluster have, from one of them, and prints what its clients got and what came back. Two clusters that print the same do the same.
// Arguments: the index of the server that calls, FORM, and the addresses of the servers.
import { io } from 'socket.io-client';
import { encode } from './binary.mjs';

const [index, form, ...servers] = process.argv.slice(2);
const caller = +index;
const dynamic = caller === 0 ? 1 : caller; // who calls in the dynamic namespace: the first server does not have it
const call = async (i, q) => (await fetch(`http://${servers[i]}/call`, { method: 'POST', body: JSON.stringify(q) })).json();
const sleep = ms => new Promise(r => setTimeout(r, ms));

// Each server has two clients of "/", named by the server and a number; the transports differ.
const clients = new Map();
let got = new Map();
const names = new Map();
const attach = async (name, url, opts) => {
  const socket = io(url, { forceNew: true, reconnection: false, ...opts });
  clients.set(name, socket);
  socket.onAny((event, ...args) => {
    const ack = typeof args.at(-1) === 'function' ? args.pop() : null;
    if (event === 'fence') { socket.fences = (socket.fences ?? new Set()).add(args[0]); return; }
    if (event === 'settle') { socket.settled = args[0]; return; }
    got.get(name)?.push([event, ...args.map(encode)]);
    if (ack && event === 'question') ack(`answer of ${name}`);
    if (ack && event === 'bytes') ack(Buffer.from([9, 8, 7]));
    if (ack && event === 'nothing') ack();
    if (ack && event === 'some' && name.endsWith('1')) ack(name);
  });
  socket.on('disconnect', reason => got.get(name)?.push(['disconnect', reason]));
  await new Promise((done, fail) => { socket.on('connect', done); socket.on('connect_error', fail); });
  names.set(socket.id, name);
};
for (let i = 0; i < servers.length; i++) {
  await attach(`${i}.1`, `http://${servers[i]}`, { transports: ['websocket'] });
  await attach(`${i}.2`, `http://${servers[i]}`, { transports: ['polling'] });
  await attach(`${i}.some`, `http://${servers[i]}/some`, { transports: ['websocket'] });
}
await attach('0.only', `http://${servers[0]}/only-a`, { transports: ['websocket'] });
await attach('1.dynamic', `http://${servers[1]}/dynamic-1`, { transports: ['websocket'] });
await attach(`${servers.length - 1}.dynamic`, `http://${servers.at(-1)}/dynamic-1`, { transports: ['websocket'] });
const join = (name, room) => new Promise(done => clients.get(name).emit('join', room, done));

// named replaces ids of sockets by the names of the clients.
const named = v => {
  if (typeof v === 'string') return names.has(v) ? `<${names.get(v)}>` : v;
  if (Array.isArray(v)) return v.map(named);
  if (v && typeof v === 'object') return Object.fromEntries(Object.keys(v).sort().map(k => [k, k === 'partial' ? sorted(named(v[k])) : k === 'at' ? '' : k === 'headers' ? v[k].filter(h => !hop.has(h)) : named(v[k])]));
  return v;
};
const hop = new Set(['connection', 'upgrade', 'sec-websocket-key']); // of the connection, not of the client
const sorted = list => list.map(e => JSON.stringify(e)).sort().map(e => JSON.parse(e));

// until waits for a condition.
const patience = 30_000;
const until = async (what, is) => {
  for (const end = Date.now() + patience; !await is(); await sleep(2)) if (Date.now() > end) throw new Error(`still not: ${what}`);
};

// fence waits until everything that the caller has sent before has arrived: an event to each namespace that was sent after it.
let fences = 0;
const fence = async () => {
  const n = ++fences;
  const open = [...clients.entries()].filter(([, s]) => s.connected);
  for (const nsp of ['/', '/some', '/only-a', '/dynamic-1']) await call(nsp === '/only-a' ? 0 : nsp === '/dynamic-1' ? dynamic : caller, { op: 'emit', nsp, args: ['fence', n] });
  for (const [name, s] of open) await until(`fence ${n} at ${name}`, () => !s.connected || s.fences?.has(n));
};

// settle waits until the members of a room are those that are named: servers subscribe to the channels of new rooms on their own time.
let settles = 0;
const settle = (room, members) => until(`${members} are in ${room}`, async () => {
  const n = ++settles;
  await call(caller, { op: 'emit', rooms: [room], args: ['settle', n] });
  await fence();
  return [...clients.entries()].filter(([, s]) => s.settled === n).map(([name]) => name).sort().join() === members;
});

const step = async (title, q, i = caller) => {
  got = new Map([...clients.keys()].map(k => [k, []]));
  const result = await call(i, q);
  await fence();
  console.log(`# ${title}`);
  if (result !== null) console.log('  result', JSON.stringify(Array.isArray(result) ? sorted(named(result)) : named(result)));
  // An adapter over streams has no order between events with and without acknowledgements.
  if (form === 'redis-streams') for (const [name, events] of got) got.set(name, sorted(events));
  for (const [name, events] of got) if (events.length) console.log(`  ${name}`, JSON.stringify(named(events)));
};

await join('0.1', 'r'); await join('2.1', 'r'); await join('1.2', 's'); await join('2.1', 's'); await join('3.2', 't');
await join('3.1', 'room of 20 letters..');
await settle('r', '0.1,2.1'); await settle('s', '1.2,2.1'); await settle('t', '3.2'); await settle('room of 20 letters..', '3.1');

await step('all', { op: 'emit', args: ['m', 1, { a: [true, null, 1.5, -7, 'é€😀', 12345678901, ''] }] });
await step('one room', { op: 'emit', rooms: ['r'], args: ['m', 'x'] });
await step('rooms', { op: 'emit', rooms: ['r', 's'], args: ['m', 'y'] });
await step('a room of 20 letters', { op: 'emit', rooms: ['room of 20 letters..'], args: ['m', 'twenty'] });
await step('nobody', { op: 'emit', rooms: ['nobody'], args: ['m'] });
await step('except', { op: 'emit', except: ['r', 's'], args: ['m'] });
await step('rooms and except', { op: 'emit', rooms: ['r', 't'], except: ['s'], args: ['m'] });
for (const i of [0, 1, 2, 3]) await step(`client ${i}`, { op: 'emit', rooms: [clients.get(`${i}.2`).id], args: ['m', i] });
await step('except one client', { op: 'emit', except: [clients.get('2.1').id], args: ['m'] });
await step('without compression', { op: 'emit', compress: false, rooms: ['r'], args: ['m', 'z'.repeat(3000)] });
await step('volatile', { op: 'emit', volatile: true, rooms: ['r'], args: ['m', 'v'] });
await step('local', { op: 'emit', local: true, args: ['m', 'local'] });
await step('binary', { op: 'emit', args: ['m', { $binary: 'AQID' }, { deep: [{ $binary: '' }, 'x', { $binary: '/w==' }] }] });
await step('binary, one room', { op: 'emit', rooms: ['s'], args: ['m', { $binary: 'AQID' }] });
await step('namespace', { op: 'emit', nsp: '/some', args: ['m', 'some'] });
await step('namespace of one server', { op: 'emit', nsp: '/only-a', args: ['m', 'only'] }, 0);
await step('dynamic namespace', { op: 'emit', nsp: '/dynamic-1', args: ['m', 'dynamic'] }, dynamic);
await step('dynamic namespace, acknowledgements', { op: 'emitWithAck', nsp: '/dynamic-1', timeout: patience, args: ['question', 1] }, dynamic);
await step('dynamic namespace, a room', { op: 'socketsJoin', nsp: '/dynamic-1', names: ['there'] }, dynamic);
await step('dynamic namespace, fetch', { op: 'fetchSockets', nsp: '/dynamic-1', rooms: ['there'] }, dynamic);
// Servers of Node wait for the timeout where they are connected by streams.
if (form !== 'redis-streams') await step('namespace that no client has', { op: 'emitWithAck', nsp: '/dynamic-2', timeout: patience, args: ['question', 1] }, dynamic);

await step('acknowledgements of all', { op: 'emitWithAck', timeout: patience, args: ['question', 42] });
await step('acknowledgements of a room', { op: 'emitWithAck', timeout: patience, rooms: ['r'], args: ['question', 42] });
await step('acknowledgements of nobody', { op: 'emitWithAck', timeout: patience, rooms: ['nobody'], args: ['question', 42] });
await step('acknowledgements, binary', { op: 'emitWithAck', timeout: patience, rooms: ['s'], args: ['bytes', { $binary: 'AQID' }] });
await step('acknowledgements without a value', { op: 'emitWithAck', timeout: patience, rooms: ['t'], args: ['nothing'] });
// One client of each server answers: in time, if that is long enough.
let timeout = 500;
while (timeout < patience && (await call(caller, { op: 'emitWithAck', timeout, args: ['some'] })).partial?.length !== servers.length) timeout *= 2;
await step('acknowledgements of some', { op: 'emitWithAck', timeout: 2 * timeout, args: ['some'] });

await step('fetch', { op: 'fetchSockets' });
await step('fetch a room', { op: 'fetchSockets', rooms: ['r'] });
await step('fetch except', { op: 'fetchSockets', except: ['r', 's', 't'] });
await step('fetch nobody', { op: 'fetchSockets', rooms: ['nobody'] });
await step('fetch of one server', { op: 'fetchSockets', local: true });
await step('fetch in a namespace', { op: 'fetchSockets', nsp: '/some' });
await step('remote socket', { op: 'fetchAndEmit', rooms: ['t'], args: ['m', 'to the remote socket', { $binary: 'AQID' }] });
await settle('fetched', '3.2');
await step('the room that it joined', { op: 'emit', rooms: ['fetched'], args: ['m'] });

await step('join', { op: 'socketsJoin', rooms: ['r'], names: ['new', 'newer'] });
await settle('new', '0.1,2.1'); await settle('newer', '0.1,2.1');
await step('joined', { op: 'emit', rooms: ['new'], args: ['m'] });
await step('join all', { op: 'socketsJoin', except: ['r'], names: ['others'] });
await settle('others', '0.2,1.1,1.2,2.2,3.1,3.2');
await step('joined all', { op: 'emit', rooms: ['others'], args: ['m'] });
await step('leave', { op: 'socketsLeave', rooms: ['new'], except: [clients.get('0.1').id], names: ['newer'] });
await settle('newer', '0.1');
await step('left', { op: 'emit', rooms: ['newer'], args: ['m'] });

const heard = async (title, others) => {
  const list = servers.map(() => []);
  await until(`${title}: ${others} servers`, async () => {
    for (const i in list) list[i].push(...await call(i, { op: 'heard' }));
    return list.filter(h => h.length).length >= others;
  });
  await fence();
  for (const i in list) list[i].push(...await call(i, { op: 'heard' }));
  console.log(`# ${title}`);
  for (const i in list) console.log(`  server ${i}`, JSON.stringify(list[i]));
};
await call(caller, { op: 'serverSideEmit', args: ['hello', 1, { a: 'b' }, null] });
await heard('server side', servers.length - 1);
await call(caller, { op: 'serverSideEmit', nsp: '/some', args: ['hello', 'some'] });
await heard('server side, in a namespace', servers.length - 1);
await call(0, { op: 'serverSideEmit', nsp: '/only-a', args: ['hello', 'only'] });
await heard('server side, where no other server is', 0);
await step('server side, with answers', { op: 'serverSideEmitWithAck', args: ['ask', { b: 1 }] });
// Servers of Node with the classic adapter answer binary data as JSON.
if (form !== 'redis' && form !== 'over') await step('server side, binary', { op: 'serverSideEmitWithAck', args: ['binary', { $binary: 'AQID' }] });
await step('server side, no other server', { op: 'serverSideEmitWithAck', nsp: '/only-a', args: ['ask', 1] }, 0);
if (form === 'redis') {
  console.log('# rooms of all servers', JSON.stringify(named(await call(0, { op: 'allRooms' })).sort()));
}

await step('disconnect from the namespace', { op: 'disconnectSockets', nsp: '/some', close: false });
await step('disconnect a room', { op: 'disconnectSockets', rooms: ['t'], close: true });
await step('disconnect all', { op: 'disconnectSockets', except: [clients.get('1.1').id], close: true });
await step('who is left', { op: 'fetchSockets' });
for (const s of clients.values()) s.disconnect();
