// Tokens with stock socket.io-client 4 and 2: in each place, their end, and what an operator takes back.
import { test, run, equal, base, admin, rest } from './tap.mjs';
import { io as io4 } from 'socket.io-client';
import io2 from 'socket.io-client-2';
import { createHmac } from 'node:crypto';

const url = base.replace('ws://', 'http://');
const [secret] = rest;
const part = v => Buffer.from(JSON.stringify(v)).toString('base64url');
function mint(sub, seconds, rights = {}) {
  const text = part({ alg: 'HS256', typ: 'JWT' }) + '.' + part({ sub, jti: sub, exp: Math.floor(Date.now() / 1000) + seconds, c100k: rights });
  return text + '.' + createHmac('sha256', secret).update(text).digest('base64url');
}
// connect resolves to the socket, or to what connect_error has.
function connect(options = {}, io = io4) {
  const s = io(url, { forceNew: true, reconnection: false, ...options });
  s.call = (event, ...args) => new Promise(done => s.emit(event, ...args, done));
  s.gone = new Promise(done => s.on('disconnect', done));
  s.expired = new Promise(done => s.on('expired', done));
  s.told = event => new Promise(done => s.on(event, done));
  return new Promise(done => { s.on('connect', () => done(s)); s.on(io === io4 ? 'connect_error' : 'error', done); s.on('connect_error', done); });
}
const transports = [['polling', { transports: ['polling'] }], ['WebSocket', { transports: ['websocket'] }], ['both', {}]];

for (const [name, options] of transports) {
  test(`auth.token over ${name}`, async () => {
    const s = await connect({ ...options, auth: { token: mint('u1', 3600, { subscribe: ['room.{sub}'], publish: ['room.{sub}'], join: ['own'] }) } });
    equal(await s.call('subscribe', 'room.u1'), { ok: true });
    equal((await s.call('subscribe', 'room.u2')).code, 'forbidden');
    const message = s.told('message');
    equal(await s.call('publish', 'room.u1', { n: 1 }), { ok: true, matched: 1 });
    equal(await message, { topic: 'room.u1', data: { n: 1 } });
    equal((await (await fetch(`${admin}/v1/topics/own`)).json()).subscribers, 1);
    s.close();
  });
  test(`refused over ${name}`, async () => {
    const bad = await connect({ ...options, auth: { token: mint('u1', 3600) + 'x' } });
    equal([bad.data.code, bad.data.message === bad.message], ['unauthorized', true]);
    equal((await connect({ ...options, auth: { token: mint('u1', -3600) } })).data.code, 'token_expired');
    equal((await connect({ ...options, auth: { token: mint('u1', 3600) + 'x' } })).data.code, 'unauthorized');
  });
  test(`its end over ${name}`, async () => {
    let s;
    for (let life = 2; !s?.told; life *= 2) { // a busy machine may take longer to connect than a token is good
      s = await connect({ ...options, auth: { token: mint('short', life) } });
      if (!s.told) equal(s.data.code, 'token_expired');
    }
    await s.expired;
    equal(await s.gone, 'io server disconnect');
  });
  test(`revoked over ${name}`, async () => {
    const token = mint('gone-' + name, 3600);
    const s = await connect({ ...options, auth: { token } });
    const told = s.told('revoked');
    equal((await fetch(`${admin}/v1/revocations`, { method: 'POST', body: JSON.stringify({ sub: 'gone-' + name }) })).status, 200);
    await told;
    equal(await s.gone, 'io server disconnect');
    equal((await connect({ ...options, auth: { token } })).data.code, 'token_revoked');
  });
  test(`closed by an operator over ${name}`, async () => {
    const token = mint('kicked-' + name, 3600);
    const s = await connect({ ...options, auth: { token } });
    await fetch(`${admin}/v1/users/kicked-${name}/connections`, { method: 'DELETE' });
    equal((await s.gone).startsWith('transport'), true);
    const again = await connect({ ...options, auth: { token } });
    equal(again.connected, true);
    again.close();
  });
}
test('the request has the token', async () => {
  const token = mint('u3', 3600, { subscribe: ['room.{sub}'] });
  for (const options of [{ extraHeaders: { Authorization: 'Bearer ' + token } }, { query: { access_token: token } }]) for (const [, transport] of transports) {
    const s = await connect({ ...options, ...transport });
    equal(await s.call('subscribe', 'room.u3'), { ok: true });
    s.close();
  }
  const refused = await connect({ query: { access_token: token + 'x' }, transports: ['polling'] });
  equal([refused.description, refused.message], [401, 'xhr poll error']);
});
test('without a token', async () => {
  const s = await connect();
  equal((await s.call('subscribe', 'room.u1')).code, 'forbidden');
  s.close();
});
test('client 2', async () => {
  const token = mint('u4', 3600, { subscribe: ['room.{sub}'] });
  const s = await connect({ query: { access_token: token } }, io2);
  equal(await s.call('subscribe', 'room.u4'), { ok: true });
  s.close();
});
await run();
