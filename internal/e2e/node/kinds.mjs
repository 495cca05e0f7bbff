// One topic, every publisher, every kind of subscriber: what each gets.
import { test, run, equal, connect, events, publish, admin, until } from './tap.mjs';

let bare, v1, sse, sender;
test('subscribe on every transport', async () => {
  bare = await connect('/ws?topic=kinds');
  v1 = await connect('/ws?topic=kinds', {}, ['c100k.v1']);
  sse = await events('/sse?topic=kinds');
  sender = await connect('/ws', {}, ['c100k.v1']);
  equal([(await v1.json()).type, (await sender.json()).type], ['welcome', 'welcome']);
  equal(sse.response.statusCode, 200);
  equal(sse.response.headers['content-type'], 'text/event-stream');
  equal(sse.response.headers['cache-control'], 'no-cache, no-transform');
  await until(() => sse.retry > 0 && sse.comments > 0);
  const r = await fetch(admin + '/v1/topics/kinds');
  equal(await r.json(), { topic: 'kinds', subscribers: 3, transports: { sse: 1, websocket: 2 } });
});

const ids = new Set();
async function expect({ text, bytes, data, data_base64, event = 'message', sent }) {
  const b = await bare.next();
  if (bytes) equal([b.binary, b.data.toString('hex')], [true, bytes.toString('hex')]);
  else equal([b.binary, b.data.toString()], [false, text]);
  const m = await v1.json();
  equal(m, data_base64 === undefined ? { type: 'message', topic: 'kinds', data } : { type: 'message', topic: 'kinds', data_base64 });
  const e = await sse.next();
  equal([e.event, e.data], [event, sent ?? text]);
  equal(e.id.length > 0 && !ids.has(e.id), true, 'id ' + e.id);
  ids.add(e.id);
}
test('API: text', async () => { await publish('kinds', 'text/plain', 'hello'); await expect({ text: 'hello', data: 'hello' }); });
test('API: text of several lines', async () => { await publish('kinds', 'text/plain', 'a\nb\n\nc'); await expect({ text: 'a\nb\n\nc', data: 'a\nb\n\nc' }); });
test('API: text with CR, which a stream of events cannot carry', async () => {
  await publish('kinds', 'text/plain', 'a\r\nb\rc'); await expect({ text: 'a\r\nb\rc', data: 'a\r\nb\rc', sent: 'a\nb\nc' });
});
test('API: empty text', async () => {
  await publish('kinds', 'text/plain', '');
  await expect({ text: '', data: '' });
});
test('API: JSON', async () => { await publish('kinds', 'application/json', '{"a":[1,2]}'); await expect({ text: '{"a":[1,2]}', data: { a: [1, 2] } }); });
test('API: bytes', async () => {
  const bytes = Buffer.from([0, 1, 254, 255]);
  await publish('kinds', 'application/octet-stream', bytes); await expect({ bytes, data_base64: bytes.toString('base64'), event: 'binary', sent: bytes.toString('base64') });
});
test('API: bytes that are text', async () => {
  const bytes = Buffer.from('plain');
  await publish('kinds', 'application/octet-stream', bytes); await expect({ bytes, data_base64: bytes.toString('base64'), sent: 'plain' });
});
test('API: /v1/publish', async () => {
  const call = async body => (await fetch(admin + '/v1/publish', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) })).json();
  equal(await call({ topic: 'kinds', data: { n: 1 } }), { matched: 3, queued: 3, dropped: 0 });
  await expect({ text: '{"n":1}', data: { n: 1 } });
  equal(await call({ topics: ['kinds', 'nobody'], data: 'a string' }), { matched: 3, queued: 3, dropped: 0 });
  await expect({ text: 'a string', data: 'a string' });
  const bytes = Buffer.from([9, 200]);
  const answers = await call([{ topic: 'kinds', data_base64: bytes.toString('base64') }, { topic: '', data: 1 }, { topic: 'kinds', data: 2 }]);
  equal([answers.length, answers[0].matched, answers[1].error.status, answers[2].matched], [3, 3, 400, 3]);
  await expect({ bytes, data_base64: bytes.toString('base64'), event: 'binary', sent: bytes.toString('base64') });
  await expect({ text: '2', data: 2 });
});
test('c100k.v1: JSON', async () => {
  sender.say({ type: 'publish', topic: 'kinds', data: { from: 'v1' }, id: 1 });
  equal(await sender.json(), { type: 'ack', id: 1, matched: 3 });
  await expect({ text: '{"from":"v1"}', data: { from: 'v1' } });
});
test('bare: text', async () => { bare.send('from bare'); await expect({ text: 'from bare', data: 'from bare' }); });
test('bare: bytes', async () => {
  const bytes = Buffer.from([255]);
  bare.send(bytes); await expect({ bytes, data_base64: '/w==', event: 'binary', sent: '/w==' });
});
test('order of many', async () => {
  const n = 2000;
  for (let i = 0; i < n; i++) sender.say({ type: 'publish', topic: 'kinds', data: i });
  for (let i = 0; i < n; i++) {
    equal(await bare.text(), String(i));
    equal((await v1.json()).data, i);
    equal((await sse.next()).data, String(i));
  }
});
test('leave', async () => {
  sse.end();
  await Promise.all([bare.end(), v1.end()]);
  await until(async () => (await fetch(admin + '/v1/topics/kinds')).status === 404);
  await sender.end();
});
run();
