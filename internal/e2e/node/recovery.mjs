// Connection state recovery with socket.io-client 4: who was away for a moment misses nothing.
import { test, run, equal, rest, base } from './tap.mjs';
import { io } from 'socket.io-client';

const transports = rest[0].split(',');

function connect(options = {}) {
  const s = io(base, { transports, forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 200, ...options });
  s.said = [];
  s.on('said', text => s.said.push(text));
  s.call = (event, ...args) => new Promise(done => s.emit(event, ...args, (...answer) => done(answer)));
  s.up = async () => {
    if (!s.connected) await new Promise(done => s.once('connect', done));
    if (transports.length > 1 && s.io.engine.transport.name !== 'websocket') await new Promise(done => s.io.engine.once('upgrade', done));
  };
  return s;
}
async function away(s, meanwhile) {
  const back = new Promise(done => s.once('connect', done));
  const gone = new Promise(done => s.once('disconnect', done));
  s.io.engine.close();
  await gone;
  await meanwhile();
  await back;
  await s.up();
}
const until = async f => { while (!f()) await new Promise(done => setTimeout(done, 10)); };

test('missed events arrive, rooms and data stay', async () => {
  const [a, b] = [connect(), connect()];
  await a.up(); await b.up();
  await a.call('join', 'r');
  await a.call('data', 'mine');
  const id = a.id;
  await b.call('all', 'before');
  await until(() => a.said.length === 1);
  await away(a, async () => { await b.call('all', 'missed 1'); b.emit('union', ['r'], [], 'missed 2'); b.emit('union', ['other'], [], 'not for a'); await b.call('all', 'missed 3'); });
  equal(a.recovered, true);
  equal(a.id, id);
  await b.call('all', 'after');
  await until(() => a.said.includes('after'));
  equal(a.said, ['before', 'missed 1', 'missed 2', 'missed 3', 'after']);
  equal(await a.call('recovered'), [true, 'mine', [id, 'r']]);
  a.close(); b.close();
});
test('a client that never got an event', async () => {
  const [a, b] = [connect(), connect()];
  await a.up(); await b.up();
  const id = a.id;
  await away(a, () => b.call('all', 'the first'));
  equal([a.recovered, a.id], [true, id]);
  await until(() => a.said.length === 1);
  equal(a.said, ['the first']);
  a.close(); b.close();
});
test('nothing missed', async () => {
  const a = connect();
  await a.up();
  await a.call('all', 'x');
  const id = a.id;
  await away(a, async () => {});
  equal([a.recovered, a.id, a.said], [true, id, ['x']]);
  a.close();
});
test('twice in a row', async () => {
  const [a, b] = [connect(), connect()];
  await a.up(); await b.up();
  for (const n of [1, 2, 3]) { await away(a, () => b.call('all', 'm' + n)); equal(a.recovered, true, 'time ' + n); }
  await until(() => a.said.length >= 3);
  equal(a.said, ['m1', 'm2', 'm3']);
  a.close(); b.close();
});
test('a private message to one who is away', async () => {
  const [a, b] = [connect(), connect()];
  await a.up(); await b.up();
  const id = a.id;
  await away(a, async () => { b.emit('private', id, 'psst'); await b.call('sum', 1, 1); });
  await until(() => a.said.length === 1);
  equal(a.said, ['psst']);
  a.close(); b.close();
});
test('who left by itself begins anew', async () => {
  const a = connect();
  await a.up();
  await a.call('all', 'x');
  const id = a.id;
  a.disconnect();
  a.connect();
  await a.up();
  equal([a.recovered, a.id !== id], [false, true]);
  a.close();
});
run();
