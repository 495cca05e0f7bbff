// socket.io-client, 4 and 2, through a restart of its server: it comes back by itself, as somebody new, and what it emitted meanwhile arrives.
import { test, run, equal, rest, base } from './tap.mjs';
import { io as io4 } from 'socket.io-client';
import io2 from 'socket.io-client-2';

const [version, list, control] = rest;
const transports = list.split(',');
const restart = () => fetch(control, { method: 'POST' });

function connect(nsp) {
  const s = (version === '2' ? io2 : io4)(base + nsp, { transports, forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 100 });
  s.call = (event, ...args) => new Promise(done => s.emit(event, ...args, (...answer) => done(answer)));
  s.up = () => new Promise(done => s.once('connect', done));
  s.gone = () => new Promise(done => s.once('disconnect', done));
  return s;
}
async function upgraded(s) {
  if (transports.length > 1 && s.io.engine.transport.name !== 'websocket') await new Promise(done => s.io.engine.once('upgrade', done));
}

test('it comes back', async () => {
  const s = connect('/');
  await s.up();
  await upgraded(s);
  const id = s.id;
  for (const round of [1, 2]) {
    const [gone, back] = [s.gone(), s.up()];
    const restarted = restart();
    const reason = await gone;
    equal(['transport close', 'transport error'].includes(reason), true, `round ${round}: ${reason}`);
    const meanwhile = s.call('sum', round, 1);
    await restarted;
    await back;
    equal(await meanwhile, [round + 1]);
    await upgraded(s);
    equal(await s.call('sum', 1, 1), [2]);
  }
  equal(s.id !== id, true, 'another id');
  s.close();
});
test('in all its namespaces', async () => {
  const a = connect('/chat');
  const b = a.io.socket('/dyn-1');
  b.connect();
  await a.up();
  if (!b.connected) await new Promise(done => b.once('connect', done));
  await upgraded(a);
  const back = [a, b].map(s => new Promise(done => s.once('connect', done)));
  await restart();
  await Promise.all(back);
  equal(await a.call('echo', 'x'), ['chat x']);
  a.close();
  b.close();
});
test('in the middle of the upgrade', async () => {
  const s = connect('/');
  await s.up();
  const back = s.up();
  await restart();
  await back;
  await upgraded(s);
  equal(await s.call('sum', 1, 1), [2]);
  s.close();
});
run();
