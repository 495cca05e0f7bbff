// Clients of Socket.IO on a node of several workers: the connections of each are dealt to any of them, and it must make no difference.
import { test, run, equal, until, admin, base, publish } from './tap.mjs';
import { io as io4 } from 'socket.io-client';
import io2 from 'socket.io-client-2';

const url = base.replace('ws', 'http');
const stats = async () => (await fetch(`${admin}/v1/stats`)).json();

// connect makes a client that numbers what it hears and counts how often it was connected.
async function connect(topic, options = {}, io = io4) {
  const s = io(url, { forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 200, randomizationFactor: 0, ...options });
  Object.assign(s, { topic, heard: [], times: 0, lost: [] });
  s.call = (event, ...args) => new Promise(done => s.emit(event, ...args, done));
  s.on('message', m => s.heard.push(m.data));
  s.on('disconnect', why => s.lost.push(why));
  await new Promise((yes, no) => {
    s.on('connect', async () => { s.times++; equal(await s.call('subscribe', topic), { ok: true }); s.ready = s.times; yes(); });
    s.on('connect_error', e => s.times || no(e));
  });
  return s;
}
const kinds = [['polling', { transports: ['polling'] }], ['websocket', { transports: ['websocket'] }], ['both', {}]];
const numbers = n => Array.from({ length: n }, (_, i) => i);
const crowd = (topic, each) => Promise.all(kinds.flatMap(([, options]) => numbers(each).map(i => connect(topic, options, i % 3 === 2 ? io2 : io4))));

test('all hear all, once and in order, while they upgrade', async () => {
  const each = 6, many = 60, before = (await stats()).requests_moved_total;
  // Those that upgrade do so while the messages come.
  const clients = await crowd('order', each);
  const talker = await connect('nothing', { transports: ['polling'] });
  for (const i of numbers(many)) {
    const how = i % 2 ? await talker.call('publish', 'order', i) : await publish('order', 'application/json', String(i));
    equal(how.matched, clients.length, `message ${i}:`);
  }
  for (const s of clients) {
    await until(() => s.heard.length >= many);
    equal(s.heard, numbers(many));
    equal([s.times, s.lost], [1, []]);
  }
  const upgraded = s => s.io.engine.transport.name === 'websocket';
  for (const s of clients.slice(2 * each)) await until(() => upgraded(s));
  equal(clients.slice(0, each).some(upgraded), false);
  const moved = (await stats()).requests_moved_total - before;
  if (moved < each) throw new Error(`only ${moved} requests were moved`);
  for (const s of [...clients, talker]) s.close();
});

test('each talks while it upgrades', async () => {
  const hearer = await connect('talk', { transports: ['websocket'] });
  const clients = await Promise.all(numbers(8).map(() => connect('other', {})));
  const answers = await Promise.all(clients.flatMap((s, c) => numbers(30).map(i => s.call('publish', 'talk', [c, i]))));
  equal(answers.filter(a => a.matched !== 1).length, 0);
  await until(() => hearer.heard.length >= 240);
  for (const c of numbers(8)) equal(hearer.heard.filter(m => m[0] === c).map(m => m[1]), numbers(30));
  for (const s of [...clients, hearer]) s.close();
});

test('large messages over polling', async () => {
  const clients = await Promise.all(numbers(5).map(() => connect('large', { transports: ['polling'] })));
  const text = 'x'.repeat(50000), bytes = Buffer.alloc(40000, 7);
  for (const s of clients) {
    equal((await s.call('publish', 'large', text)).matched, 5);
    equal((await s.call('publish', 'large', bytes)).matched, 5);
  }
  for (const s of clients) {
    await until(() => s.heard.length >= 10);
    equal(s.heard.filter(m => m === text).length, 5);
    equal(s.heard.filter(m => Buffer.isBuffer(m) && m.equals(bytes)).length, 5);
    equal(s.lost, []);
    s.close();
  }
});

test('a worker is killed, and its clients come back', async () => {
  const clients = await crowd('killed', 6);
  const victim = (await stats()).workers.sort((a, b) => b.connections - a.connections)[0];
  process.kill(victim.pid, 'SIGKILL');
  await until(async () => { const w = (await stats()).workers[victim.worker]; return w.state === 'serving' && w.restarts_total === 1; });
  await until(() => clients.some(s => s.times === 2) && clients.every(s => s.connected && s.ready === s.times));
  await until(async () => (await publish('killed', 'text/plain', 'again')).matched === clients.length);
  for (const s of clients) await until(() => s.heard.includes('again'));
  if (!clients.some(s => s.lost.length === 0)) throw new Error('no client has kept its worker');
  for (const s of clients) s.close();
});
run();
