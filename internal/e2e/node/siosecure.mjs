// Clients of Socket.IO over TLS: by polling, by WebSocket, and from one to the other.
import { test, run, equal, base } from './tap.mjs';
import { io } from 'socket.io-client';

const url = base.replace('ws', 'http');
for (const transports of [['polling'], ['websocket'], ['polling', 'websocket']]) {
  test(transports.join(' to '), async () => {
    const s = io(url, { forceNew: true, reconnection: false, transports });
    await new Promise((yes, no) => { s.on('connect', yes); s.on('connect_error', no); });
    if (transports.length > 1) {
      const engine = s.io.engine;
      if (engine.transport.name !== 'websocket') await new Promise(done => engine.on('upgrade', done));
      equal(engine.transport.name, 'websocket');
    }
    const call = (event, ...args) => new Promise(done => s.emit(event, ...args, done));
    const heard = new Promise(done => s.on('message', done));
    const topic = 'secure-' + transports.length + transports[0];
    equal(await call('subscribe', topic), { ok: true });
    equal(await call('publish', topic, 'x'.repeat(50_000)), { ok: true, matched: 1 }); // several records
    equal((await heard).data.length, 50_000);
    s.close();
  });
}
run();
