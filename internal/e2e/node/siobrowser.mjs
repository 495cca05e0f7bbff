// Chromium with the script that a node serves: each transport, the upgrade, binary, and a restart of the node.
import { chromium } from 'playwright-core';
import fs from 'node:fs';
import { test, run, equal, base, rest } from './tap.mjs';

const site = base.replace('ws', 'http');
const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(fs.existsSync);
const context = await chromium.launchPersistentContext(rest[0], {
  executablePath, headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const complaints = [];
const page = await context.newPage();
page.on('console', m => { if (['error', 'warning'].includes(m.type())) complaints.push(m.text()); });
page.on('pageerror', e => complaints.push(String(e)));
await page.goto(site + '/');
await page.evaluate(() => {
  window.connect = async (name, options) => {
    const s = window[name] = io({ forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 300, ...options });
    s.inbox = []; s.waiters = [];
    s.on('message', m => { const w = s.waiters.shift(); w ? w(m) : s.inbox.push(m); });
    s.next = () => s.inbox.length ? Promise.resolve(s.inbox.shift()) : new Promise(done => s.waiters.push(done));
    s.on('connect', () => s.emit('subscribe', name));
    await new Promise((yes, no) => { s.on('connect', yes); s.on('connect_error', no); });
  };
  window.untilOpen = async s => { while (!s.connected) await new Promise(done => setTimeout(done, 20)); };
});
for (const [name, options] of [['polling', { transports: ['polling'] }], ['websocket', { transports: ['websocket'] }], ['upgrade', {}]]) {
  test(`over ${name}`, async () => {
    equal(await page.evaluate(async ([name, options]) => {
      await connect(name, options);
      const s = window[name];
      if (name === 'upgrade' && s.io.engine.transport.name !== 'websocket') await new Promise(done => s.io.engine.on('upgrade', done));
      const matched = (await s.emitWithAck('publish', name, 'text €😀')).matched;
      const text = (await s.next()).data;
      await s.emitWithAck('publish', name, new Uint8Array([1, 2, 255]).buffer);
      const bytes = (await s.next()).data;
      return [matched, text, bytes instanceof ArrayBuffer, [...new Uint8Array(bytes)], s.io.engine.transport.name];
    }, [name, options]), [1, 'text €😀', true, [1, 2, 255], name === 'polling' ? 'polling' : 'websocket']);
  });
}
test('all come back after a restart', async () => {
  // Listening before the node is told to end: the page may take longer to begin than the node to be back.
  await page.evaluate(() => { window.away = Promise.all([polling, websocket, upgrade].map(s => new Promise(done => s.on('disconnect', done)))); });
  complaints.splice(0);
  console.log('restart');
  const reasons = await page.evaluate(() => away);
  equal(reasons.every(r => r === 'transport close' || r === 'transport error'), true, reasons.join());
  equal(await page.evaluate(async () => {
    for (const s of [polling, websocket, upgrade]) { await untilOpen(s); await s.emitWithAck('subscribe', 'again'); }
    await upgrade.emitWithAck('publish', 'again', 17);
    const got = [];
    for (const s of [polling, websocket, upgrade]) got.push((await s.next()).data);
    return got;
  }), [17, 17, 17]);
  complaints.splice(0); // of connections that were refused meanwhile
});
test('nothing to complain about', async () => equal(complaints, []));
test('the end', async () => { await context.close(); });
run();
