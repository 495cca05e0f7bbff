// Sessions of Engine.IO through its own clients: what is sent comes back the same, in its order, over each transport and across the upgrade.
import { test, run, equal, rest, base, until } from './tap.mjs';
import { Socket } from 'engine.io-client';
import eio3 from 'engine.io-client-3';

const [version, list] = rest;
const transports = list.split(',');
const upgrades = transports.length > 1;

// Session keeps what arrives until somebody asks for it.
class Session {
  constructor(query = {}) {
    const options = { path: '/socket.io', transports, query, upgrade: upgrades };
    this.socket = version === '4' ? new Socket(base, options) : eio3(base, options);
    this.socket.binaryType = 'arraybuffer';
    this.inbox = [];
    this.waiters = [];
    this.pings = 0;
    this.upgraded = new Promise(done => this.socket.on('upgrade', done));
    this.socket.on(version === '4' ? 'ping' : 'pong', () => this.pings++);
    this.socket.on('message', data => { const w = this.waiters.shift(); w ? w(data) : this.inbox.push(data); });
    this.closed = new Promise(done => this.socket.on('close', reason => done(reason)));
    this.open = new Promise((yes, no) => { this.socket.on('open', () => yes(this)); this.socket.on('error', no); });
  }
  next() { return this.inbox.length ? Promise.resolve(this.inbox.shift()) : new Promise(done => this.waiters.push(done)); }
  async bytes() { const data = await this.next(); if (typeof data === 'string') throw new Error('text: ' + data); return Buffer.from(data); }
  send(data) { this.socket.send(data); }
  async settled() { if (upgrades) await this.upgraded; return this; }
}
const connect = query => new Session(query).open;

test('text', async () => {
  const s = await connect();
  const texts = ['hello', 'žluťoučký kůň', '€😀', '😀'.repeat(1000), 'x'.repeat(125), 'x'.repeat(126), 'x'.repeat(65536), 'y'.repeat(300000), '\\n\n\\\\n\u2028"'];
  for (const text of texts) { s.send(text); equal(await s.next(), text); }
  s.socket.close();
  equal(await s.closed, 'forced close');
});
test('binary', async () => {
  const s = await connect();
  for (const n of [1, 2, 3, 125, 126, 4096, 65536, 200000]) {
    const b = Buffer.alloc(n).map((_, i) => i * 7);
    s.send(b);
    equal(await s.bytes(), b, n + ' bytes:');
  }
  s.send('!attach and three');
  equal(await s.next(), 'and three');
  equal(await s.bytes(), Buffer.from([1, 2, 3]));
  equal(await s.bytes(), Buffer.alloc(0));
  equal(await s.bytes(), Buffer.alloc(300, 0xff));
  s.socket.close();
  await s.closed;
});
test('text and binary in one order, both ways, whatever the transport does meanwhile', async () => {
  const s = await connect();
  const count = 500;
  for (let i = 0; i < count; i++) s.send(i % 5 ? 'n' + i : Buffer.from('b' + i));
  for (let i = 0; i < count; i++) {
    const got = await s.next();
    equal(typeof got === 'string' ? got : Buffer.from(got).toString(), (i % 5 ? 'n' : 'b') + i);
  }
  s.socket.close();
  await s.closed;
});
test('what the server sends across the upgrade comes once and in its order', async () => {
  const many = await Promise.all(Array.from({ length: 20 }, () => connect()));
  await Promise.all(many.map(async s => {
    s.send('!count 2000');
    for (let i = 0; i < 2000; i++) equal(await s.next(), String(i));
    await s.settled();
    s.socket.close();
    await s.closed;
  }));
});
if (upgrades) test('the upgrade happens', async () => {
  const s = await connect();
  equal(s.socket.transport.name, 'polling');
  const t = await s.upgraded;
  equal(t.name, 'websocket');
  s.send('after');
  equal(await s.next(), 'after');
  s.socket.close();
  await s.closed;
});
test('what is sent at once when the session opens', async () => {
  const s = await connect({ greet: 'žofie & co' });
  equal(await s.next(), 'welcome žofie & co');
  s.socket.close();
  await s.closed;
});
test('heartbeats', async () => {
  const s = await (await connect()).settled();
  await until(() => s.pings >= 4);
  equal(s.socket.readyState, 'open');
  s.send('still');
  equal(await s.next(), 'still');
  s.socket.close();
  await s.closed;
});
test('the server closes', async () => {
  const s = await (await connect()).settled();
  s.send('!close');
  equal(await s.closed, 'transport close');
});
test('the server closes while an upgrade may be under way', async () => {
  const all = await Promise.all(Array.from({ length: 30 }, () => connect()));
  for (const [i, s] of all.entries()) setTimeout(() => s.send('!close'), i * 5);
  for (const s of all) equal(await s.closed, 'transport close');
});
test('a hundred at once', async () => {
  const all = await Promise.all(Array.from({ length: 100 }, () => connect()));
  for (const [i, s] of all.entries()) { s.send('a' + i); s.send('b' + i); }
  for (const [i, s] of all.entries()) { equal(await s.next(), 'a' + i); equal(await s.next(), 'b' + i); }
  for (const s of all) s.socket.close();
  await Promise.all(all.map(s => s.closed));
});
run();
