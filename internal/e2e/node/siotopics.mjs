// The topics of a node as clients of Socket.IO see them, beside those of WebSocket and Server-Sent Events.
import { test, run, equal, base, admin } from './tap.mjs';
import { io as io4 } from 'socket.io-client';
import io2 from 'socket.io-client-2';
import { WebSocket } from 'ws';
import http from 'node:http';

const url = base.replace('ws://', 'http://');
async function connect(options = {}, io = io4) {
  const s = io(url, { forceNew: true, reconnectionDelay: 50, ...options });
  s.inbox = []; s.waiters = [];
  s.on('message', m => { const w = s.waiters.shift(); w ? w(m) : s.inbox.push(m); });
  s.next = () => s.inbox.length ? Promise.resolve(s.inbox.shift()) : new Promise(done => s.waiters.push(done));
  s.call = (event, ...args) => new Promise(done => s.emit(event, ...args, done));
  await new Promise((yes, no) => { s.on('connect', yes); s.on('connect_error', no); });
  return s;
}
const publish = (topic, body, type) => new Promise((yes, no) => {
  const r = http.request(`${admin}/v1/topics/${topic}`, { method: 'POST', headers: { 'content-type': type } }, m => { let text = ''; m.on('data', d => text += d); m.on('end', () => yes(JSON.parse(text))); });
  r.on('error', no); r.end(body);
});
const all = [['polling', { transports: ['polling'] }], ['WebSocket', { transports: ['websocket'] }], ['both', {}]];

for (const [name, options] of all) for (const [v, io] of [[4, io4], [2, io2]]) {
  test(`client ${v} over ${name}`, async () => {
    const topic = `t-${v}-${name}`;
    const s = await connect(options, io);
    equal(await s.call('subscribe', topic), { ok: true });
    equal(await s.call('publish', topic, { a: [1, 'x'] }), { ok: true, matched: 1 });
    equal(await s.next(), { topic, data: { a: [1, 'x'] } });
    equal(await s.call('publish', topic, 'a "text" €'), { ok: true, matched: 1 });
    equal(await s.next(), { topic, data: 'a "text" €' });
    await s.call('publish', topic, Buffer.from([1, 2, 255]));
    const m = await s.next();
    equal(Buffer.from(m.data).toString('hex'), '0102ff');
    equal((await s.call('publish', topic, { name: 'f', file: Buffer.from([1, 2, 255]), parts: [Buffer.from('a'), Buffer.alloc(0)] })).matched, 1);
    const { data: mixed } = await s.next();
    equal([mixed.name, Buffer.from(mixed.file).toString('hex'), mixed.parts.map(b => Buffer.from(b).toString())], ['f', '0102ff', ['a', '']]);
    equal(typeof mixed.file === 'object' && mixed.file.byteLength, 3);
    equal((await s.call('publish', topic, { $binary: 'AQ==' })).code, 'bad_request');
    equal((await publish(topic, 'hello', 'text/plain')).matched, 1);
    equal(await s.next(), { topic, data: 'hello' });
    equal(await s.call('unsubscribe', topic), { ok: true });
    equal(await s.call('publish', topic, 1), { ok: true, matched: 0 });
    s.close();
  });
}
test('one publish reaches all', async () => {
  const s = await connect(), again = await connect({ transports: ['websocket'] });
  await s.call('subscribe', ['all', 'other']); await again.call('subscribe', 'all');
  const ws = new WebSocket(base + '/ws?topic=all');
  await new Promise(done => ws.on('open', done));
  const onWS = new Promise(done => ws.on('message', d => done(d.toString())));
  const onSSE = new Promise(done => http.get(url + '/sse?topic=all', m => { let text = ''; m.on('data', d => { text += d; const hit = /data: ?(.*)/.exec(text); if (hit) { done(hit[1]); m.destroy(); } }); }));
  while ((await (await fetch(`${admin}/v1/topics/all`)).json()).subscribers !== 4) await new Promise(done => setTimeout(done, 10));
  const topic = await (await fetch(`${admin}/v1/topics/all`)).json();
  equal(topic.transports, { socketio: 2, sse: 1, websocket: 1 });
  equal((await s.call('publish', 'all', { n: 1, file: Buffer.from([1, 2, 255]) })).matched, 4);
  for (const client of [s, again]) {
    const { data } = await client.next();
    equal([data.n, Buffer.from(data.file).toString('hex')], [1, '0102ff']);
  }
  equal(await onWS, '{"n":1,"file":{"$binary":"AQL/"}}');
  equal(await onSSE, '{"n":1,"file":{"$binary":"AQL/"}}');
  await publish('all', '{"file":{"$binary":"/w=="}}', 'application/json');
  for (const client of [s, again]) equal(Buffer.from((await client.next()).data.file).toString('hex'), 'ff');
  ws.close(); s.close(); again.close();
});
test('refusals', async () => {
  const s = await connect();
  for (const [args, code] of [[[''], 'invalid_topic'], [[17], 'bad_request'], [['x\u0001'], 'invalid_topic'], [[Array.from({ length: 101 }, (_, i) => 't' + i)], 'too_many_topics'], [[], 'bad_request']]) {
    const answer = await s.call('subscribe', ...args);
    equal([answer.ok, answer.code], [false, code]);
  }
  equal((await s.call('publish', 'x')).code, 'bad_request');
  s.close();
});
test('scripts', async () => {
  for (const name of ['socket.io.js', 'socket.io.min.js', 'socket.io.esm.min.js', 'socket.io.msgpack.min.js']) {
    const r = await fetch(`${url}/socket.io/${name}`);
    equal([r.status, r.headers.get('content-type'), r.headers.get('etag')], [200, 'application/javascript; charset=utf-8', '"4.8.4"']);
    equal((await r.text()).includes('Socket.IO v4.8.4'), true);
    equal((await fetch(`${url}/socket.io/${name}`, { headers: { 'if-none-match': '"4.8.4"' } })).status, 304);
  }
  equal((await fetch(`${url}/socket.io/nothing.js`)).status, 404);
});
test('statistics', async () => {
  const s = await connect({ transports: ['polling'] });
  const stats = await (await fetch(`${admin}/v1/stats`)).json();
  equal(stats.connections.open.socketio >= 1, true, JSON.stringify(stats.connections));
  s.close();
});
run();
