// socket.io-client 4 comes back to any worker of a node, and to another node that has the history of its topics: what it missed comes once and in order.
import { test, run, equal, rest, base, admin } from './tap.mjs';
import { Proxy } from './proxy.mjs';
import { io } from 'socket.io-client';

const others = JSON.parse(rest[0]); // public and admin address of the node's partners
const nodes = [[base.replace('ws://', ''), admin], ...others.map(([at, api]) => [at, 'http://' + api])];
const until = async f => { while (!await f()) await new Promise(done => setTimeout(done, 10)); };
const cutOff = async (s, proxies) => {
  // A client that polls may just have no request under way, and then notices nothing.
  while (s.connected) { for (const p of proxies) p.cut(); await new Promise(done => setTimeout(done, 5)); }
};
let n = 0;

async function connect(proxy, transports, topics) {
  const s = io(`http://127.0.0.1:${proxy.port}`, { transports, forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 50 });
  s.heard = []; s.resets = [];
  s.on('message', m => s.heard.push(m.data));
  s.on('reset', r => s.resets.push(r.topic));
  s.call = (event, ...args) => new Promise(done => s.emit(event, ...args, done));
  await new Promise(done => s.once('connect', done));
  equal(await s.call('subscribe', topics), { ok: true });
  return s;
}
async function publish(topic) {
  const api = nodes[n % nodes.length][1];
  const r = await fetch(`${api}/v1/topics/${topic}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: String(++n) });
  equal(r.status, 200);
  return n;
}
// While the client is away, messages are published; expected are all that it must have heard.
async function away(s, leave, expected, topic) {
  const back = new Promise(done => s.once('connect', done));
  await leave();
  for (let i = 0; i < 3; i++) expected.push(await publish(topic));
  await back;
  equal(s.recovered, true, 'recovered');
  expected.push(await publish(topic));
  await until(() => s.heard.length >= expected.length);
}

for (const transports of [['websocket'], ['polling'], ['polling', 'websocket']]) {
  test(`cut again and again, ${transports}`, async () => {
    const proxies = await Promise.all(nodes.map(([at]) => new Proxy(at).listen()));
    const topic = 'chat.' + transports.join('-');
    const s = await connect(proxies[0], transports, [topic, 'chat.other']);
    const [id, expected] = [s.id, []];
    for (let round = 0; round < 8; round++) {
      const next = proxies[(round + 1) % proxies.length];
      await away(s, () => { s.io.uri = `http://127.0.0.1:${next.port}`; return cutOff(s, proxies); }, expected, topic);
      equal(s.id, id, 'id');
    }
    equal(s.heard, expected);
    equal(s.resets, []);
    equal(await s.call('unsubscribe', 'chat.other'), { ok: true });
    s.close();
  });
}
test('stays idle, and its connection is only said to be lost', async () => {
  const proxy = await new Proxy(nodes[0][0]).listen();
  const s = await connect(proxy, ['websocket'], ['chat.idle']);
  const expected = [];
  // The node does not hear that the connection has ended: the client is back before that.
  await away(s, () => { proxy.stall(); s.io.engine.close(); proxy.stalled = false; }, expected, 'chat.idle');
  equal(s.heard, expected);
  s.close();
  proxy.cut();
});
test('its worker is killed', async () => {
  const workers = async () => (await (await fetch(admin + '/v1/stats')).json()).workers ?? [];
  if (others.length > 0 || (await workers()).length < 2) return;
  const proxy = await new Proxy(nodes[0][0]).listen();
  const all = await Promise.all(Array.from({ length: 6 }, () => connect(proxy, ['websocket'], ['chat.kill'])));
  const expected = [await publish('chat.kill')];
  await Promise.all(all.map(s => until(() => s.heard.length === 1)));
  for (const { pid } of await workers()) {
    const before = (await workers()).find(w => w.pid === pid).connections;
    process.kill(pid, 'SIGKILL');
    for (let i = 0; i < 5; i++) expected.push(await publish('chat.kill'));
    await Promise.all(all.map(s => until(() => s.heard.length >= expected.length)));
    for (const s of all) { equal(s.heard, expected, `of worker with ${before}`); equal(s.resets, []); }
    await until(async () => { const w = await workers(); return w.length === 2 && w.every(w => w.state === 'serving' && w.pid !== pid); });
  }
  for (const s of all) s.close();
});
run();
