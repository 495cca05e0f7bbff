// The client of clients/js: the classic script under a clock of the test's, through a proxy.
import { WebSocket, WebSocketServer } from 'ws';
import fs from 'node:fs';
import http from 'node:http';
import { test, run, equal, base, admin, rest, publish, until } from './tap.mjs';
import { Proxy, Clock } from './proxy.mjs';

const [tokens] = rest.map(text => JSON.parse(text)); // JWTs for user u1
const script = fs.readFileSync(new URL('../../../clients/js/dist/c100k.js', import.meta.url), 'utf8');
let random = 0.999; // what Math.random draws
const load = clock => new Function('setTimeout', 'clearTimeout', 'performance', 'Math', script + '\nreturn c100k')(
  clock.setTimeout, clock.clearTimeout, clock.performance, Object.assign(Object.create(Math), { min: Math.min, random: () => random }));

// Sockets that wait for their first message. The clock stands still meanwhile: how long it takes is up to the machine.
const begun = new Set();
class Watched extends WebSocket {
  constructor(...args) {
    super(...args);
    begun.add(this);
    for (const event of ['message', 'close']) this.on(event, () => begun.delete(this));
  }
}

// A client that keeps what it is told.
function make(url, options = {}) {
  const clock = new Clock(), { Client } = load(clock);
  const client = new Client(url, { WebSocket: Watched, ...options });
  const told = [];
  for (const event of ['state', 'message', 'resumed', 'caughtup', 'reset', 'gap', 'error']) client.on(event, value => told.push([event, value]));
  return Object.assign(client, {
    clock, told,
    of: event => told.filter(([e]) => e === event).map(([, value]) => value),
    data: () => told.filter(([e]) => e === 'message').map(([, m]) => m.data),
    // Waits for a condition, while a millisecond goes by each time that it is asked for.
    until: f => until(() => { clock.advance(1); return f(); }),
    // The same with a second each time, but for the time that a socket takes to open.
    later: f => until(() => { if (begun.size === 0) clock.advance(1000); return f(); }),
    is: async state => until(() => client.state === state),
    // Waits until the client waits, and lets its pause end.
    again: async () => { await client.is('waiting'); clock.advance(told.filter(([e]) => e === 'state').at(-1)[1].delay); },
  });
}
const open = async (url, options) => { const c = make(url, options).connect(); await c.is('open'); return c; };
const rejected = promise => promise.then(() => 'kept', e => e.code);
const text = (topic, data) => publish(topic, 'text/plain', data);

const proxy = await new Proxy(base).listen();
const through = `ws://127.0.0.1:${proxy.port}/ws`;
const options = { token: () => tokens[0] };
const topic = (n => () => 'chat.' + ++n)(0); // each test its own

test('subscribe, publish, unsubscribe', async () => {
  const c = await open(base + '/ws', options), name = topic();
  equal([c.transport, c.id.length > 0], ['websocket', true]);
  const got = [], sub = c.subscribe(name, m => got.push(m.data));
  await sub.ready;
  equal((await c.publish(name, { a: [1, 'é', null] })).matched, 1);
  await c.publish(name, 'text');
  await publish(name, 'application/octet-stream', Buffer.from([0, 255]));
  await until(() => got.length === 3);
  equal(got.slice(0, 2), [{ a: [1, 'é', null] }, 'text']);
  equal([got[2] instanceof Uint8Array, ...got[2]], [true, 0, 255]);
  const second = [], other = c.subscribe(name, m => second.push(m.data));
  await other.ready;
  sub.unsubscribe();
  equal((await c.publish(name, 'for the second')).matched, 1);
  await until(() => second.length === 1);
  equal(got.length, 3);
  other.unsubscribe();
  other.unsubscribe();
  equal((await c.publish(name, 'nobody')).matched, 0);
  c.close();
  equal([c.state, c.transport, c.id], ['closed', '', '']);
  equal(await rejected(c.publish(name, 1)), 'closed');
});
test('a beginning in the past', async () => {
  const name = topic();
  for (const data of ['1', '2', '3']) await text(name, data);
  const c = await open(base + '/ws', options);
  await c.subscribe(name, () => {}, { last: 2 }).ready;
  await until(() => c.of('caughtup').length);
  equal(c.data(), ['2', '3']);
  equal([c.of('resumed')[0].messages, c.of('caughtup')[0]], [2, { topic: name, messages: 2 }]);
  const after = c.of('message')[0].offset;
  const d = await open(base + '/ws', options);
  d.subscribe(name, () => {}, { after });
  await until(() => d.of('caughtup').length);
  equal(d.data(), ['3']);
  c.close(); d.close();
});
test('what was missed comes once and in order after a cut', async () => {
  const c = await open(through, options), name = topic(), quiet = topic();
  await Promise.all([c.subscribe(name).ready, c.subscribe(quiet).ready]);
  await text(name, 'before');
  await until(() => c.data().length === 1);
  proxy.refusing = true;
  proxy.cut();
  await c.is('waiting');
  for (const data of ['1', '2', '3']) await text(name, data);
  await text(quiet, 'of a topic that had heard nothing');
  await c.again();
  await until(() => c.of('state').filter(s => s.state === 'waiting').length === 2); // it was refused
  proxy.refusing = false;
  await c.again();
  await c.is('open');
  await until(() => c.of('caughtup').length === 2);
  await text(name, 'after');
  await until(() => c.data().length === 6);
  equal(c.data().filter(d => !d.startsWith('of')), ['before', '1', '2', '3', 'after']);
  equal(c.of('caughtup').map(m => m.messages), [3, 1]);
  equal(c.of('reset'), []);
  c.close();
});
test('a connection that stalls is given up', async () => {
  const c = await open(through, options), name = topic();
  await c.subscribe(name).ready;
  c.clock.advance(30e3);
  await until(() => { c.clock.advance(1); return !c.clock.pending.includes(10e3); }); // its ping is answered
  equal(c.state, 'open');
  proxy.stall();
  const lost = rejected(c.publish(name, 'stalled'));
  await text(name, 'missed');
  await until(() => { c.clock.advance(100); return c.state === 'waiting'; });
  equal(await lost, 'timeout'); // after 30 s; the ping is 10 s later without an answer
  equal(c.of('state').at(-1).reason, 'no answer');
  proxy.cut();
  proxy.flow();
  await c.again();
  await c.is('open');
  await until(() => c.data().includes('missed'));
  c.close();
});
test('pauses grow, and begin anew after ten seconds of connection only', async () => {
  const c = await open(through, options);
  const delays = () => c.of('state').filter(s => s.state === 'waiting').map(s => Math.round(s.delay / 0.999));
  proxy.refusing = true;
  proxy.cut();
  for (let i = 1; i <= 8; i++) {
    await until(() => delays().length === i);
    await c.again();
  }
  await until(() => delays().length === 9);
  equal(delays(), [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
  proxy.refusing = false;
  await c.again();
  await c.is('open');
  c.clock.advance(9999);
  proxy.cut();
  await until(() => delays().length === 10);
  equal(delays().at(-1), 30000);
  await c.again();
  await c.is('open');
  c.clock.advance(10e3);
  proxy.cut();
  await until(() => delays().length === 11);
  equal(delays().at(-1), 500);
  random = 0;
  await c.again();
  await c.is('open');
  proxy.cut();
  await until(() => delays().length === 12);
  equal(delays().at(-1), 0); // all of the pause is drawn
  random = 0.999;
  c.close();
});
test('what cannot be brought is told', async () => {
  const c = await open(through, options), name = topic(), bare = 'plain.' + name;
  await Promise.all([c.subscribe(name).ready, c.subscribe(bare).ready]);
  await text(name, 'heard');
  await until(() => c.data().length === 1);
  proxy.cut();
  await c.is('waiting');
  await text(name, 'forgotten');
  await fetch(`${admin}/v1/topics/${name}/history`, { method: 'DELETE' });
  await c.again();
  await until(() => c.of('reset').length === 2);
  equal(c.of('reset').map(r => [r.topic, r.reason]).sort(), [[name, 'expired'], [bare, 'unknown']].sort());
  await text(name, 'later');
  await until(() => c.data().length === 2);
  proxy.cut();
  await c.again();
  await until(() => c.of('resumed').length === 1);
  equal(c.data(), ['heard', 'later']);
  c.close();
});
test('a publish waits for a connection, within bounds', async () => {
  proxy.refusing = true;
  const c = make(through, options).connect(), name = topic();
  await c.is('waiting');
  const first = c.publish(name, 'queued');
  const rest = [];
  for (let i = 1; i < 1000; i++) rest.push(c.publish(name, i));
  equal(await rejected(c.publish(name, 'one more')), 'overloaded');
  proxy.refusing = false;
  await c.again();
  equal((await first).matched, 0);
  await Promise.all(rest);
  proxy.stall();
  const lost = rejected(c.publish(name, 'in flight'));
  proxy.cut();
  equal(await lost, 'lost');
  proxy.flow();
  await c.is('waiting');
  const late = rejected(c.publish(name, 'late'));
  proxy.refusing = true;
  c.clock.advance(31e3);
  equal(await late, 'timeout');
  proxy.refusing = false;
  c.close();
});
test('a topic that is refused', async () => {
  const c = await open(base + '/ws', options), name = topic();
  const bad = c.subscribe('secret');
  await c.subscribe(name).ready;
  equal(await rejected(bad.ready), 'forbidden');
  equal(c.of('error').map(e => [e.code, e.topic]), [['forbidden', 'secret']]);
  equal(await rejected(c.publish('secret', 1)), 'forbidden');
  equal(await rejected(c.subscribe('a\n').ready), 'invalid_topic');
  c.close();
});
test('a token that was revoked is asked for again', async () => {
  let asked = 0;
  const c = await open(base + '/ws', { token: async () => tokens[++asked] }), name = topic();
  await c.subscribe(name).ready;
  const { jti } = JSON.parse(Buffer.from(tokens[1].split('.')[1], 'base64url'));
  const r = await fetch(`${admin}/v1/revocations`, { method: 'POST', body: JSON.stringify({ jti }), headers: { 'Content-Type': 'application/json' } });
  equal(r.status, 200);
  await c.is('waiting');
  equal([c.of('state').at(-1).code, asked], [4403, 1]);
  await text(name, 'missed');
  await c.again();
  await until(() => c.data().length === 1);
  equal(asked, 2);
  c.close();
});
test('4401, a token about to expire, and a token that is not to be had', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'c100k.v1' });
  await new Promise(done => server.on('listening', done));
  const said = [];
  server.on('connection', (ws, request) => {
    said.push(request.headers['sec-websocket-protocol'].split(',').at(-1).trim());
    ws.send('{"type":"welcome","conn":"1","expires":1}');
    ws.on('message', m => {
      const command = JSON.parse(m);
      said.push(command);
      ws.send(JSON.stringify({ type: 'ack', id: command.id }));
      if (command.type === 'refresh') ws.close(4401, 'token expired');
    });
    if (said.length === 1) ws.send('{"type":"expiring","expires":1}');
  });
  let asked = 0;
  const c = make(`ws://127.0.0.1:${server.address().port}/ws`, { token: async () => {
    if (++asked === 3) throw new Error('log in first');
    return 't' + asked;
  } }).connect();
  await c.is('waiting');
  equal(c.of('state').at(-1).code, 4401);
  equal(said, ['c100k.token.t1', { type: 'refresh', token: 't2', id: 1 }]);
  await c.again();
  await until(() => c.of('state').at(-1).reason === 'log in first');
  await c.again();
  await c.is('open');
  equal(said.at(-1), 'c100k.token.t4');
  c.close();
  server.close();
});
test('a node that says nothing, and one that says what is no JSON', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'c100k.v1' });
  await new Promise(done => server.on('listening', done));
  const url = `ws://127.0.0.1:${server.address().port}/ws`;
  const c = make(url).connect();
  const [ws] = await new Promise(done => server.once('connection', (...args) => done(args)));
  c.clock.advance(10e3);
  await c.is('waiting');
  equal(c.of('state').at(-1).reason, 'no welcome');
  server.once('connection', ws => ws.send('{"type":"welcome","conn":"1"}{'));
  await c.again();
  await until(() => c.of('state').at(-1).reason === 'no JSON');
  c.close();
  ws.terminate();
  server.close();
});
// A client for which no WebSocket comes through.
async function blocked(url = through, given = options) {
  proxy.blocking = true;
  const c = make(url, given).connect();
  await c.again();
  await until(() => c.of('state').filter(s => s.state === 'waiting').length === 2);
  await c.again();
  await c.is('open');
  equal(c.transport, 'sse');
  return c;
}
test('events in place of a WebSocket', async () => {
  const c = await blocked(), name = topic(), second = topic(), bare = 'plain.' + name;
  for (const data of ['1', '2', '3']) await text(second, data);
  let ready = 0;
  for (const sub of [c.subscribe(name), c.subscribe(second, () => {}, { last: 2 }), c.subscribe(bare)]) sub.ready.then(() => ready++);
  await c.until(() => ready === 3 && c.of('caughtup').length);
  equal(c.data(), ['2', '3']);
  await publish(name, 'application/json', '{ "a":\n[1,"é"]}');
  await text(name, '17');
  await publish(bare, 'application/octet-stream', Buffer.from([0, 255]));
  await until(() => c.data().length === 5);
  equal(c.of('message').slice(2, 4).map(m => [m.topic, m.data]), [[name, { a: [1, 'é'] }], [name, '17']]);
  equal([...c.data()[4]], [0, 255]);
  equal(c.of('state').at(-1).state, 'open');
  proxy.cut();
  await c.is('waiting');
  await text(name, 'missed');
  await text(second, 'missed too');
  await c.again();
  await c.is('open');
  await until(() => c.of('caughtup').filter(m => m.messages === 1).length === 2);
  equal(c.data().slice(5).sort(), ['missed', 'missed too']);
  equal(c.of('reset').map(r => [r.topic, r.reason]).at(-1), [bare, 'unknown']);
  // A WebSocket comes through again: it takes over, behind what the events have brought.
  await text(name, 'before the change');
  await until(() => c.data().includes('before the change'));
  proxy.blocking = false;
  await c.later(() => c.transport === 'websocket');
  await text(name, 'after the change');
  await until(() => c.data().includes('after the change'));
  equal(c.data().filter(d => typeof d === 'string' && /change/.test(d)), ['before the change', 'after the change']);
  c.close();
  await until(() => proxy.open === 0);
});
test('events go on while WebSockets fail', async () => {
  const c = await blocked(), name = topic(), before = proxy.blocked;
  let ready = false;
  c.subscribe(name).ready.then(() => { ready = true; });
  await c.until(() => ready);
  // The second one begins when the client has seen the end of the first.
  await c.later(() => proxy.blocked >= before + 2);
  await text(name, 'still heard');
  await until(() => c.data().includes('still heard'));
  equal([c.state, c.transport], ['open', 'sse']);
  c.close();
  proxy.blocking = false;
  await until(() => proxy.open === 0);
});
test('a topic that is refused, over events', async () => {
  const c = await blocked(), name = topic();
  const good = c.subscribe(name), bad = c.subscribe('secret');
  let why, ready;
  bad.ready.catch(e => { why = e; });
  good.ready.then(() => { ready = true; });
  await c.until(() => why);
  equal([why.code, why.message.includes('not open to this client')], ['refused', true]);
  await c.until(() => ready && c.transport === 'sse');
  await text(name, 'heard');
  await until(() => c.data().length === 1);
  c.close();
  proxy.blocking = false;
});
test('publish and presence without a WebSocket', async () => {
  const c = await blocked(), name = topic(), seen = [];
  let ready;
  c.subscribe(name).ready.then(() => { ready = true; });
  await c.until(() => ready);
  equal((await c.publish(name, { a: 1 })).matched, 1);
  await until(() => c.data().length === 1);
  equal([c.data()[0], c.of('message')[0].from], [{ a: 1 }, 'u1']);
  equal(await rejected(c.publish('secret', 1)), 'forbidden');
  equal(await rejected(c.publish('a\n', 1)), 'bad_topic');
  await until(async () => (await c.presence(name)).count === 1);
  equal((await c.presence(name)).members.map(m => m.sub), ['u1']);
  equal(await rejected(c.presence('secret')), 'forbidden');
  // Changes come over events too.
  const empty = topic(), end = c.watch(empty, p => seen.push(p));
  await c.until(() => seen.length === 1);
  equal([seen[0].count, seen[0].members], [0, []]);
  const d = await open(base + '/ws', options), own = d.subscribe(empty);
  await c.until(() => seen.length === 2);
  equal([seen[1].count, seen[1].joined.map(m => m.sub)], [1, ['u1']]);
  // One that is refused takes nothing else away.
  c.watch('secret', () => {});
  await c.until(() => c.of('error').some(e => e.code === 'refused' && e.topic === 'secret'));
  const pages = () => seen.filter(p => p.members);
  await c.until(() => pages().length === 2); // of the stream that is opened anew
  equal(pages()[1].members.map(m => m.sub), ['u1']);
  own.unsubscribe();
  await c.until(() => seen.at(-1).left?.length === 1);
  await text(name, 'still heard');
  await until(() => c.data().includes('still heard'));
  equal([c.state, c.transport], ['open', 'sse']);
  end();
  const again = [];
  c.watch(name, p => again.push(p));
  await c.until(() => again.length === 1);
  proxy.blocking = false;
  await c.later(() => c.transport === 'websocket' && again.length === 2);
  equal(again.map(p => p.members.map(m => m.sub)), [['u1'], ['u1']]);
  c.close(); d.close();
  await until(() => proxy.open === 0);
});
test('publishing by a page of the backend', async () => {
  // The backend knows the user by the token, and calls the node.
  const backend = http.createServer((request, response) => {
    const chunks = [];
    request.on('data', c => chunks.push(c)).on('end', async () => {
      if (request.headers.authorization !== 'Bearer ' + tokens[0]) return response.writeHead(403).end('not you');
      const answer = await fetch(admin + '/v1/publish', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: Buffer.concat(chunks) });
      response.writeHead(answer.status, { 'Content-Type': answer.headers.get('Content-Type') }).end(await answer.text());
    });
  });
  await new Promise(done => backend.listen(0, '127.0.0.1', done));
  const c = await blocked(through, { ...options, api: `http://127.0.0.1:${backend.address().port}/publish` }), name = topic();
  let ready;
  c.subscribe(name).ready.then(() => { ready = true; });
  await c.until(() => ready);
  equal((await c.publish(name, { a: 1 })).matched, 1);
  await until(() => c.data().length === 1);
  equal(c.data(), [{ a: 1 }]);
  equal(await rejected(c.publish('a\n', 1)), 'bad_topic');
  c.close();
  proxy.blocking = false;
  backend.close();
});
test('presence', async () => {
  const c = await open(through, options), d = await open(base + '/ws', options), name = topic();
  const seen = [];
  const end = c.watch(name, p => seen.push(p));
  await until(() => seen.length === 1);
  equal([seen[0].count, seen[0].members], [0, []]);
  await d.subscribe(name).ready;
  await until(() => seen.length === 2);
  equal([seen[1].count, seen[1].joined.map(m => m.sub)], [1, ['u1']]);
  const page = await c.presence(name);
  equal([page.count, page.members[0].sub, page.members[0].conns], [1, 'u1', 1]);
  proxy.cut();
  await c.again();
  await until(() => seen.length === 3); // a page again
  equal(seen[2].members.map(m => m.sub), ['u1']);
  end();
  equal(await rejected(c.presence('plain.' + name)), 'bad_request'); // no --presence for it
  c.watch('secret', () => {});
  await until(() => c.of('error').length);
  equal(c.of('error')[0].topic, 'secret');
  c.close(); d.close();
});
test('an exception of the application breaks nothing', async () => {
  const c = await open(base + '/ws', options), name = topic(), thrown = [];
  const keep = e => thrown.push(e.message);
  process.on('uncaughtException', keep);
  const got = [];
  c.subscribe(name, () => { throw new Error('mine'); });
  await c.subscribe(name, m => got.push(m.data)).ready;
  await text(name, 'a');
  await text(name, 'b');
  await until(() => got.length === 2 && thrown.length === 2);
  process.off('uncaughtException', keep);
  equal([got, thrown], [['a', 'b'], ['mine', 'mine']]);
  c.close();
});
await run();
