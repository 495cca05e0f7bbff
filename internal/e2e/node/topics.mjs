// The topic protocol through npm ws: both forms, every command, and every answer.
import http from 'node:http';
import { test, run, equal, connect, Client, publish, admin, until } from './tap.mjs';

const enveloped = (query = '') => connect('/ws' + query, {}, ['c100k.v1']);
const v1 = async query => { const c = await enveloped(query); c.id = (await c.json()).conn; return c; };

test('two bare clients chat', async () => {
  const [a, b] = await Promise.all([connect('/ws?topic=chat'), connect('/ws?topic=chat')]);
  equal(a.ws.protocol, '');
  a.send('hi');
  equal([await a.text(), await b.text()], ['hi', 'hi']);
  b.send(Buffer.from([0, 255]));
  equal(await a.bytes(), Buffer.from([0, 255]));
  equal(await b.bytes(), Buffer.from([0, 255]));
  await Promise.all([a.end(), b.end()]);
});
test('bare: several topics, one of them twice', async () => {
  const c = await connect('/ws?topic=m1&topic=m2&topic=m1');
  equal(await publish('m1', 'text/plain', 'one'), { matched: 1, queued: 1, dropped: 0 });
  equal(await c.text(), 'one');
  await publish('m2', 'text/plain', 'two');
  equal(await c.text(), 'two');
  await c.end();
});
// post sends the path as it is; fetch would take "." and ".." for directories.
const post = (path, body) => new Promise((yes, no) => {
  const { hostname, port } = new URL(admin);
  http.request({ hostname, port, path, method: 'POST', headers: { 'Content-Type': 'text/plain' } }, response => {
    let text = '';
    response.on('data', d => text += d).on('end', () => yes(JSON.parse(text)));
  }).on('error', no).end(body);
});
test('topic names of every kind', async () => {
  for (const topic of ['.', '..', 'a b', 'a/b', 'ü.ß', '100%', 'a+b', 'a&b=c', '😀', 'x'.repeat(255)]) {
    const c = await connect('/ws?topic=' + encodeURIComponent(topic));
    equal((await post(`/v1/topics/${encodeURIComponent(topic)}`, 'to ' + topic)).matched, 1, topic);
    equal(await c.text(), 'to ' + topic);
    await c.end();
  }
});
for (const [query, status] of [['', 400], ['?topic=', 400], ['?topic=' + 'x'.repeat(256), 400], ['?topic=%00', 400], ['?topic=%ff', 400], ['?topic=%zz', 400]]) {
  test(`refused: ${query.slice(0, 20)}`, async () => {
    const c = new Client('/ws' + query);
    const r = await c.refused;
    equal(r.status, status);
    equal(r.body.length > 10, true);
  });
}
test('the subprotocol is chosen among others', async () => {
  const c = await connect('/ws', {}, ['mqtt', 'c100k.v1', 'graphql-ws']);
  equal(c.ws.protocol, 'c100k.v1');
  equal((await c.json()).type, 'welcome');
  await c.end();
});
test('other subprotocols only: bare', async () => {
  // npm ws gives up when the server chooses none of what it offers; the handshake itself is good (RFC 6455, 4.2.2).
  const c = new Client('/ws?topic=x', {}, ['mqtt']);
  equal(/no subprotocol/i.test((await c.failed).message), true);
});
test('welcome names the connection', async () => {
  const c = await enveloped();
  const m = await c.json();
  equal(Object.keys(m), ['type', 'conn']);
  equal(/^[0-9a-f]{16}$/.test(m.conn), true, m.conn);
  const r = await fetch(`${admin}/v1/connections/${m.conn}`, { method: 'DELETE' });
  equal(r.status, 204);
  equal((await c.closed).code, 1008);
  await until(async () => (await fetch(`${admin}/v1/connections/${m.conn}`, { method: 'DELETE' })).status === 404);
});
test('subscribe, publish, unsubscribe, ping', async () => {
  const a = await v1(), b = await v1();
  a.say({ type: 'subscribe', topics: ['s1', 's2'], id: 1 });
  equal(await a.json(), { type: 'ack', id: 1 });
  b.say({ type: 'publish', topic: 's1', data: { x: [1, null, 'ü'] }, id: 'two' });
  equal(await b.json(), { type: 'ack', id: 'two', matched: 1 });
  equal(await a.json(), { type: 'message', topic: 's1', data: { x: [1, null, 'ü'] } });
  a.say({ type: 'unsubscribe', topics: ['s1', 'never'], id: 3 });
  equal(await a.json(), { type: 'ack', id: 3 });
  b.say({ type: 'publish', topic: 's1', data: 0, id: 4 });
  equal(await b.json(), { type: 'ack', id: 4, matched: 0 });
  b.say({ type: 'publish', topic: 's2', data: 'text' });
  equal(await b.json(), { type: 'ack', matched: 1 });
  equal(await a.json(), { type: 'message', topic: 's2', data: 'text' });
  a.say({ type: 'ping', id: 4 });
  equal(await a.json(), { type: 'pong', id: 4 });
  a.say({ type: 'ping' });
  equal(await a.json(), { type: 'pong' });
  await Promise.all([a.end(), b.end()]);
});
test('a subscriber gets what it publishes, once, and after its ack', async () => {
  const c = await v1();
  c.say({ type: 'subscribe', topics: ['self', 'self'], id: 1 });
  c.say({ type: 'publish', topic: 'self', data: 1, id: 2 });
  equal(await c.json(), { type: 'ack', id: 1 });
  equal(await c.json(), { type: 'ack', id: 2, matched: 1 });
  equal(await c.json(), { type: 'message', topic: 'self', data: 1 });
  c.say({ type: 'ping', id: 3 });
  equal(await c.json(), { type: 'pong', id: 3 });
  await c.end();
});
test('topics of the query, enveloped', async () => {
  const c = await v1('?topic=q1&topic=q2');
  await publish('q2', 'text/plain', 'hello');
  equal(await c.json(), { type: 'message', topic: 'q2', data: 'hello' });
  await c.end();
});
for (const [name, command, code, id] of [
  ['not JSON', '{"type":"ping",', 'bad_request'], ['no object', '[]', 'bad_request'], ['empty', '', 'bad_request'], ['trailing bytes', '{"type":"ping"} x', 'bad_request'],
  ['no type', '{"id":7}', 'bad_request', 7], ['unknown type', '{"type":"shout","id":8}', 'unknown_type', 8], ['type is no string', '{"type":1,"id":9}', 'bad_request', 9],
  ['no topics', '{"type":"subscribe","id":1}', 'bad_request', 1], ['topics is no array', '{"type":"subscribe","topics":"a","id":1}', 'bad_request', 1],
  ['a topic that is no string', '{"type":"subscribe","topics":["a",1],"id":1}', 'bad_request', 1], ['topics is empty', '{"type":"subscribe","topics":[],"id":1}', 'bad_request', 1],
  ['an empty topic', '{"type":"subscribe","topics":[""],"id":1}', 'invalid_topic', 1], ['a control character', '{"type":"subscribe","topics":["a\\u0007"],"id":1}', 'invalid_topic', 1],
  ['a long topic', JSON.stringify({ type: 'subscribe', topics: ['x'.repeat(256)], id: 1 }), 'invalid_topic', 1],
  ['too many topics', JSON.stringify({ type: 'subscribe', topics: Array.from({ length: 101 }, (_, i) => 't' + i), id: 1 }), 'too_many_topics', 1],
  ['publish without topic', '{"type":"publish","data":1,"id":1}', 'bad_request', 1], ['publish without data', '{"type":"publish","topic":"a","id":1}', 'bad_request', 1],
  ['publish to a bad topic', '{"type":"publish","topic":"","data":1,"id":1}', 'invalid_topic', 1],
  ['an unknown member', '{"type":"ping","colour":"red","id":1}', 'bad_request', 1], ['a member twice', '{"type":"ping","type":"ping","id":1}', 'bad_request', 1],
  ['an id that is an object', '{"type":"ping","id":{}}', 'bad_request'], ['an id that is too long', JSON.stringify({ type: 'ping', id: 'x'.repeat(100) }), 'bad_request'],
  ['deep nesting', '{"type":"publish","topic":"a","data":' + '['.repeat(20000) + ']'.repeat(20000) + ',"id":1}', 'bad_request'],
]) {
  test(`error: ${name}`, async () => {
    const c = await v1();
    c.send(command);
    const m = await c.json();
    equal([m.type, m.code, m.id], ['error', code, id], m.message);
    equal(m.message.length > 5, true);
    c.say({ type: 'ping', id: 'alive' }); // the connection is as good as before
    equal(await c.json(), { type: 'pong', id: 'alive' });
    await c.end();
  });
}
test('no more topics than a connection may have', async () => {
  const c = await v1();
  const subscribe = (from, to) => { c.say({ type: 'subscribe', topics: Array.from({ length: to - from }, (_, i) => 'many' + (from + i)), id: from }); return c.json(); };
  for (const [from, to] of [[0, 100], [100, 200], [200, 256]]) equal((await subscribe(from, to)).type, 'ack');
  equal((await subscribe(256, 257)).code, 'too_many_topics');
  c.say({ type: 'unsubscribe', topics: ['many0'], id: 1 });
  equal((await c.json()).type, 'ack');
  equal((await subscribe(256, 258)).code, 'too_many_topics'); // all of a command or nothing
  equal((await subscribe(256, 257)).type, 'ack');
  await c.end();
});
run();
