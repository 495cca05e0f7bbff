// A phone: the client through a network that drops every so often, now by a cut, now by a stall, and
// is away for a moment each time. Nothing that is published may be missing, doubled or out of order.
import { WebSocket } from 'ws';
import fs from 'node:fs';
import { test, run, equal, base, rest, publish, until } from './tap.mjs';
import { Proxy } from './proxy.mjs';

const [tokens, drops, every] = rest.map(text => JSON.parse(text)); // every: ms; 0: when there is something to miss
const PUBLISHED = 50, AWAY = 2000; // ms between two messages, and without a network
// Without a pace the device says when it has a network again, as browsers do: the pauses of the client
// are drawn, and several long ones in a row would take longer than a test may.
const device = new EventTarget();
if (!every) for (const name of ['addEventListener', 'removeEventListener']) globalThis[name] = device[name].bind(device);
const { connect } = await import('../../../clients/js/dist/c100k.mjs');
const pause = ms => new Promise(done => setTimeout(done, ms));

test(`${drops} drops`, async () => {
  const proxy = await new Proxy(base).listen(), topic = 'chat.phone';
  const client = connect(`ws://127.0.0.1:${proxy.port}/ws`, { WebSocket, token: () => tokens[0] });
  const got = [], missed = [], resets = [];
  client.on('caughtup', m => missed.push(m.messages));
  client.on('reset', m => resets.push(m));
  await client.subscribe(topic, m => got.push(m.data)).ready;
  let sent = 0, over = false;
  const publisher = (async () => { while (!over) { await publish(topic, 'application/json', String(sent)); sent++; await pause(PUBLISHED); } })();
  for (let i = 1; i <= drops; i++) {
    if (every) await pause(every - AWAY);
    else await until(() => got.length >= sent - 1 && client.state === 'open');
    proxy.refusing = true;
    if (every && i % 2 === 0) proxy.stall(); // found out when the network comes back: the connection is dead then
    else proxy.cut();
    const before = sent, had = missed.length;
    await (every ? pause(AWAY) : until(() => sent > before + 5));
    proxy.cut();
    proxy.flow();
    proxy.refusing = false;
    if (every) console.log(`drop ${i} of ${drops}: sent ${sent}, received ${got.length}, state ${client.state}, missed so far ${missed.reduce((a, b) => a + b, 0)}`);
    await until(() => { // it may come back twice
      if (client.state === 'waiting') device.dispatchEvent(new Event('online'));
      return missed.length > had;
    });
  }
  over = true;
  await publisher;
  await until(() => got.length >= sent);
  client.close();
  equal(resets, []);
  equal(got.join(), Array.from({ length: sent }, (_, i) => i).join());
  equal(missed.filter(n => n > 0).length >= drops, true, `missed ${missed}`);
  console.log(`${drops} drops, ${sent} messages, ${missed.reduce((a, b) => a + b, 0)} of them missed and brought: none lost, none twice, all in order`);
});
await run();
