// A Socket.IO server through its own clients, 4 and 2: events, acknowledgements, binary, rooms, namespaces, refusals.
import { test, run, equal, rest, base } from './tap.mjs';
import { io as io4 } from 'socket.io-client';
import io2 from 'socket.io-client-2';
import msgpack from 'socket.io-msgpack-parser';

const [version, list] = rest;
const transports = list.split(',');
const upgrades = transports.length > 1;
const v2 = version === '2';

const open = [];
function connect(nsp = '/', options = {}) {
  const all = { transports, forceNew: true, reconnection: false, ...options };
  if (version === 'msgpack') all.parser = msgpack;
  const s = v2 ? io2(base + nsp, all) : io4(base + nsp, all);
  open.push(s);
  s.inbox = {};
  s.waiters = {};
  const record = (event, args) => { const w = (s.waiters[event] ||= []).shift(); w ? w(args) : (s.inbox[event] ||= []).push(args); };
  s.next = event => { const had = (s.inbox[event] ||= []).shift(); return had ? Promise.resolve(had) : new Promise(done => (s.waiters[event] ||= []).push(done)); };
  if (v2) { const was = s.onevent; s.onevent = function (p) { record(p.data[0], p.data.slice(1)); was.call(s, p); }; } else s.onAny((event, ...args) => record(event, args));
  s.call = (event, ...args) => new Promise(done => s.emit(event, ...args, (...answer) => done(answer)));
  s.gone = new Promise(done => s.on('disconnect', done));
  s.ready = new Promise((yes, no) => {
    s.on('connect', () => yes(s));
    s.on('connect_error', no);
    if (v2) s.on('error', e => no(typeof e === 'string' ? new Error(e) : Object.assign(new Error(e.message), { data: e })));
  });
  return s;
}
const joined = async (...a) => {
  const s = await connect(...a).ready;
  if (upgrades) {
    const engine = s.io.engine;
    if (engine.transport.name !== 'websocket') await new Promise(done => engine.on('upgrade', done));
  }
  return s;
};
const settle = s => s.call('sum', 1, 1); // what was sent before has arrived when its answer does
const hex = data => Buffer.from(data).toString('hex');

test('an id of 20 characters', async () => {
  const s = await joined();
  equal(s.id.length, 20);
  if (!v2) equal(s.id !== s.io.engine.id, true, 'public and private id differ');
});
test('echo of all kinds of values', async () => {
  const s = await joined();
  const values = ['text €😀 "\\', 1, -2.5, true, null, [1, [2]], { a: { b: 'c' } }, ''];
  s.emit('echo', ...values);
  equal(await s.next('echo'), values);
  equal(await s.call('echo', ...values), values);
});
test('numbers and acknowledgement', async () => { const s = await joined(); equal(await s.call('sum', 1, 2.5), [3.5]); });
test('transport and its change', async () => {
  const s = await joined();
  equal(await s.call('transport'), [transports.at(-1), v2 ? 3 : 4]);
  if (upgrades) equal(await s.next('upgraded'), ['websocket']);
});
test('binary at any depth', async () => {
  const s = await joined(), b = Buffer.from([0, 255, 7]);
  const [kinds, file, list, struct] = await s.call('deep in', { file: b, n: 1 }, [b, 'x', { y: [b] }], { any: { file: b } });
  equal(kinds, '[]uint8 []uint8 []uint8');
  equal([hex(file), hex(list[0]), list[1], hex(list[2].y[0]), hex(struct.Any.file)], ['00ff07', '00ff07', 'x', '00ff07', '00ff07']);
  const [map, lists, field, all] = await s.call('deep out', b);
  equal([hex(map.b), hex(lists[0]), hex(lists[1]), hex(field.B)], ['00ff07', '00ff07', '', '00ff07']);
  equal([hex(all.own), hex(all.blob), hex(all.Any), Object.keys(all)], ['00ff07', '00ff07', '00ff07', ['own', 'blob', 'Any']]);
  for (const v of [file, list[0], map.b, lists[1], field.B, all.own]) equal(typeof v === 'object' && !Array.isArray(v), true, 'is binary');
});
test('a struct with binary', async () => {
  const s = await joined();
  const [name, age, face] = await s.call('person', { name: 'Ada', age: 36, face: Buffer.from([1, 2, 3]) });
  equal([name, age, hex(face)], ['Ada', 36, '010203']);
});
test('variadic rest', async () => { const s = await joined(); s.emit('rest', 'a', 1, 2, 3); equal(await s.next('rest'), ['a', 3]); });
test('binary', async () => {
  const s = await joined();
  for (const n of [0, 1, 300, 70000]) {
    const data = Buffer.alloc(n, 0xa5);
    const [length, back] = await s.call('bytes', data);
    equal([length, hex(back)], [n, hex(data)]);
  }
});
test('binary deep inside', async () => {
  const s = await joined();
  s.emit('echo', { a: [Buffer.from([1]), { b: Buffer.from([2, 3]) }] }, 'x', Buffer.from([4]));
  const [tree, x, last] = await s.next('echo');
  equal([hex(tree.a[0]), hex(tree.a[1].b), x, hex(last)], ['01', '0203', 'x', '04']);
});
test('rooms', async () => {
  const [a, b, c] = [await joined(), await joined(), await joined()];
  equal(await a.call('join', 'r1'), [[a.id, 'r1']]);
  equal(await a.next('joined'), ['r1', a.id], 'who joins is there');
  equal(await b.call('join', 'r1'), [[b.id, 'r1']]);
  equal(await a.next('joined'), ['r1', b.id]);
  await b.next('joined');
  a.emit('say', 'r1', 'to the others');
  equal(await b.next('said'), ['to the others']);
  await c.call('join', 'r2');
  c.emit('union', ['r1', 'r2'], [], 'union');
  for (const s of [a, b, c]) equal(await s.next('said'), ['union']);
  c.emit('union', ['r1', 'r2'], [a.id], 'but a');
  for (const s of [b, c]) equal(await s.next('said'), ['but a']);
  equal(await a.call('join', 'r2'), [[a.id, 'r1', 'r2']]);
  c.emit('union', ['r1', 'r2'], [b.id], 'once');
  equal(await a.next('said'), ['once']);
  await Promise.all([a, b, c].map(settle));
  equal([a, b, c].map(s => (s.inbox.said || []).length), [0, 0, 1], 'nobody got more');
  equal(await a.call('leave', 'r1'), [[a.id, 'r2']]);
  b.emit('union', ['r1'], [], 'without a');
  equal(await b.next('said'), ['without a']);
  await settle(a);
  equal((a.inbox.said || []).length, 0);
});
test('broadcasts', async () => {
  const [a, b] = [await joined(), await joined()];
  await a.call('all', 'to all');
  equal(await a.next('said'), ['to all']);
  equal(await b.next('said'), ['to all']);
  a.emit('others', 'to others');
  equal(await b.next('said'), ['to others']);
  a.emit('private', b.id, 'to you');
  equal(await b.next('said'), ['to you']);
  await settle(a);
  equal((a.inbox.said || []).length, 0);
});
test('a broadcast with binary', async () => {
  const [a, b] = [await joined(), await joined()];
  await a.call('join', 'pictures'); await b.call('join', 'pictures');
  a.emit('picture', 'pictures', Buffer.from([1, 2, 3, 4]));
  for (const s of [a, b]) { const [p] = await s.next('picture'); equal([p.n, hex(p.data)], [1, '01020304']); }
});
test('the server asks', async () => {
  const s = await joined();
  s.on('question', (q, answer) => answer(q + '!'));
  equal(await s.call('ask', 'why'), ['you said why!']);
});
test('an acknowledgement that does not come', async () => { const s = await joined(); equal(await s.call('ask slowly'), ['operation has timed out']); });
test('a broadcast that is acknowledged', async () => {
  const all = await Promise.all([0, 1, 2].map(() => joined()));
  for (const [i, s] of all.entries()) { await s.call('join', 'voters'); s.on('vote', answer => answer(i)); }
  const [votes, complete] = await all[0].call('poll', 'voters');
  equal([votes.sort(), complete], [[0, 1, 2], true]);
});
test('events arrive in the order of their emission', async () => {
  const s = await joined();
  await settle(s);
  s.emit('order', 300);
  for (let i = 0; i < 300; i++) equal(await s.next('n'), [i]);
});
test('namespaces', async () => {
  const s = await joined();
  const chat = v2 ? s.io.socket('/chat') : s.io.socket('/chat', {});
  await new Promise(done => chat.on('connect', done));
  equal(await new Promise(done => chat.emit('echo', 'hi', done)), 'chat hi');
  const gone = new Promise(done => chat.on('disconnect', done));
  chat.emit('quit');
  equal(await gone, 'io server disconnect');
  equal(await s.call('sum', 1, 1), [2], 'the other namespace lives');
});
test('a dynamic namespace', async () => { const s = await joined('/dyn-17'); equal(await s.next('in'), ['/dyn-17']); });
test('an unknown namespace', async () => {
  const e = await connect('/nowhere').ready.catch(e => e);
  equal(e.message, 'Invalid namespace');
});
const auth = token => v2 ? ['/guarded?Token=' + token, { query: { q: '1' } }] : ['/guarded', { auth: { Token: token }, query: { q: '1' } }];
test('a middleware lets in', async () => {
  const s = await joined(...(v2 ? ['/guarded', { query: { q: '1', Token: 'abc' } }] : auth('abc')));
  equal((await s.next('token'))[0], 'abc');
});
test('a middleware refuses', async () => {
  const e = await connect('/guarded').ready.catch(e => e);
  if (v2) equal(e.data.code, 17); else equal([e.message, e.data], ['not authorized', { code: 17 }]);
});
test('a middleware refuses later', async () => {
  const e = await connect(...(v2 ? ['/guarded', { query: { Token: 'late' } }] : auth('late'))).ready.catch(e => e);
  equal(e.message, 'too late');
});
test('data of a socket', async () => { const s = await joined(); equal((await s.call('data', 'x'))[0], null); equal((await s.call('data', 'y'))[0], 'x'); });
test('events that are refused, and those whose arguments do not fit', async () => {
  const s = await joined();
  s.emit('forbidden');
  equal(await s.next('wrong'), ['this event is forbidden']);
  s.emit('sum', 'one', 2, () => {});
  equal((await s.next('wrong'))[0].startsWith('event "sum": argument 1: '), true);
  equal(await s.call('sum', 1, 2), [3]);
});
test('the client leaves', async () => {
  const [a, b] = [await joined(), await joined()];
  const id = b.id;
  b.disconnect();
  equal(await a.next('gone'), [id, 'client namespace disconnect']);
});
test('the connection ends', async () => {
  const [a, b] = [await joined(), await joined()];
  const id = b.id;
  b.io.engine.close();
  equal(await a.next('gone'), [id, 'transport close']);
});
test('the server disconnects', async () => {
  const s = await joined();
  s.emit('kick', false);
  equal(await s.gone, 'io server disconnect');
});
test('the server closes', async () => {
  const s = await joined();
  s.emit('kick', true);
  equal(await s.gone, 'io server disconnect');
});
test('many events', async () => {
  const s = await joined();
  const answers = await Promise.all(Array.from({ length: 500 }, (_, i) => s.call('sum', i, 1)));
  equal(answers.map(a => a[0]), Array.from({ length: 500 }, (_, i) => i + 1));
});
if (transports.includes('polling')) test('another request on the connection', async () => {
  const { Agent, get } = await import('node:http');
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const fetch = path => new Promise((yes, no) => get(base + path, { agent }, r => { let body = ''; r.on('data', d => body += d); r.on('end', () => yes(body)); }).on('error', no));
  const handshake = await fetch(`/socket.io/?EIO=${v2 ? 3 : 4}&transport=polling`);
  equal(handshake.includes('"sid"'), true);
  equal(await fetch('/hello'), 'hello');
  equal((await fetch(`/socket.io/?EIO=${v2 ? 3 : 4}&transport=polling`)).includes('"sid"'), true);
  agent.destroy();
});
run();
