// Chromium as the client: the demo page, and what its WebSocket and EventSource make of a node.
import { chromium } from 'playwright-core';
import fs from 'node:fs';
import { test, run, equal, base, admin, rest, publish, until } from './tap.mjs';
import { Proxy } from './proxy.mjs';

const [profile, keeps] = rest; // keeps: history outlives the node
const shots = process.env.C100K_E2E_SHOTS; // a directory for screenshots; none without it
const site = base.replace('ws', 'http');
const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(fs.existsSync);
const open = () => chromium.launchPersistentContext(profile, {
  executablePath, headless: true, viewport: { width: 1280, height: 800 },
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
    ...(base.startsWith('wss:') ? ['--ignore-certificate-errors'] : [])], // made for this start
});

const context = await open();
const complaints = [];
async function tab(url = site + '/', { silent = true } = {}) {
  const page = await context.newPage();
  if (silent) {
    page.on('console', m => { if (['error', 'warning'].includes(m.type())) complaints.push(m.text()); });
    page.on('pageerror', e => complaints.push(String(e)));
    page.on('requestfailed', r => complaints.push('failed: ' + r.url()));
  }
  await page.addInitScript(() => addEventListener('securitypolicyviolation', e => console.error('CSP: ' + e.violatedDirective)));
  const response = await page.goto(url);
  return Object.assign(page, { response });
}
const ready = page => Promise.all(['#ws-state', '#sse-state'].map(id => page.locator(id + '[data-state=open]').waitFor()));
const say = async (page, text) => { await page.fill('#text', text); await page.press('#text', 'Enter'); };
const heard = (page, text) => page.locator('#log .text', { hasText: text }).last().waitFor();

let a, b;
test('the page', async () => {
  a = await tab();
  equal(a.response.status(), 200);
  const policy = a.response.headers()['content-security-policy'];
  equal(policy.includes("default-src 'none'") && !policy.includes('unsafe'), true, policy);
  equal(await a.title() !== '', true);
  await ready(a);
});
test('two tabs chat', async () => {
  b = await tab();
  await ready(b);
  await say(a, 'hello from a');
  await Promise.all([heard(a, 'hello from a'), heard(b, 'hello from a')]);
  await say(b, 'hello from b <b>not markup</b>');
  await Promise.all([heard(a, 'hello from b <b>not markup</b>'), heard(b, 'hello from b')]);
  equal([await a.locator('#log .msg').count(), await b.locator('#log .msg').count()], [2, 2]);
  equal([await a.locator('#log .own').count(), await b.locator('#log .own').count()], [1, 1]);
  await a.locator('#stream li', { hasText: 'hello from b' }).waitFor(); // the same over EventSource
});
test('publishing from elsewhere reaches the page', async () => {
  equal((await publish('chat', 'text/plain', 'from a shell')).matched, 4); // each has a WebSocket and a stream of events
  await Promise.all([heard(a, 'from a shell'), heard(b, 'from a shell')]);
  await publish('chat', 'application/octet-stream', Buffer.from([0, 255, 13]));
  await Promise.all([heard(a, '3 bytes: 00 ff 0d'), a.locator('#stream li', { hasText: 'AP8N' }).waitFor()]);
});
test('the round trip is measured', async () => {
  await a.bringToFront();
  await a.locator('#rtt-best', { hasText: 'ms' }).waitFor();
});
test('the command to copy has the admin port', async () => {
  equal(await a.locator('#curl').textContent(), `curl -d hello ${admin}/v1/topics/chat`);
});
test('another topic', async () => {
  const c = await tab(site + '/?topic=other%20room');
  await ready(c);
  await say(c, 'only here');
  await heard(c, 'only here');
  equal(await a.locator('#log .text', { hasText: 'only here' }).count(), 0);
  await c.close();
});
test('compression is negotiated', async () => {
  const got = await a.evaluate(async url => {
    const ws = new WebSocket(url);
    await new Promise((yes, no) => { ws.onopen = yes; ws.onerror = no; });
    const text = 'again '.repeat(5000), echo = new Promise(done => { ws.onmessage = e => done(e.data); });
    ws.send(text);
    const same = await echo === text;
    const closed = new Promise(done => { ws.onclose = e => done([e.code, e.wasClean]); });
    ws.close(4001, 'bye');
    return [ws.extensions, same, await closed];
  }, base + '/echo');
  got[0] = got[0].split(';')[0];
  equal(got, ['permessage-deflate', true, [4001, true]]);
});
test('subprotocol', async () => {
  const got = await a.evaluate(async url => {
    const ws = new WebSocket(url, ['other', 'c100k.v1']);
    const first = await new Promise((yes, no) => { ws.onmessage = e => yes(e.data); ws.onerror = no; });
    ws.close();
    return [ws.protocol, JSON.parse(first).type];
  }, base + '/ws');
  equal(got, ['c100k.v1', 'welcome']);
});
test('nothing to complain of', async () => equal(complaints, []));
test('a page of another origin is refused', async () => {
  const other = await tab('data:text/html,<p>other', { silent: false });
  const codes = await other.evaluate(async ([ws, sse]) => [
    await new Promise(done => { const s = new WebSocket(ws); s.onclose = e => done(e.code); s.onopen = () => done('open'); }),
    await new Promise(done => { const s = new EventSource(sse); s.onerror = () => { s.close(); done('error'); }; s.onopen = () => done('open'); }),
  ], [base + '/ws?topic=chat', site + '/sse?topic=chat']);
  equal(codes, [1006, 'error']);
  await other.close();
});
async function shoot(page, name) {
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: width < 500 ? 844 : 800 });
    await page.locator('#log').evaluate(log => { log.scrollTop = log.scrollHeight; });
    await page.screenshot({ path: `${shots}/demo-${name}-${width}.png`, fullPage: true });
  }
}
if (shots) {
  for (const scheme of ['light', 'dark']) for (const width of [1280, 390]) {
    test(`screenshot ${scheme} ${width}`, async () => {
      await a.bringToFront();
      await a.emulateMedia({ colorScheme: scheme });
      await a.setViewportSize({ width, height: width < 500 ? 844 : 800 });
      await say(a, 'A longer message, to see how it wraps when there is not enough room for it on one line of the log: ' + 'word '.repeat(20));
      await heard(a, 'A longer message');
      await a.screenshot({ path: `${shots}/demo-${scheme}-${width}.png`, fullPage: true });
    });
  }
}
test('what was missed comes after a cut', async () => {
  const cut = await new Proxy(base).listen();
  const c = await tab(site.replace(/:\d+$/, ':' + cut.port) + '/', { silent: false });
  await ready(c);
  await say(c, 'before the cut');
  await heard(c, 'before the cut');
  cut.refusing = true;
  cut.cut();
  await c.locator('#ws-state[data-state=waiting]').waitFor();
  if (shots) await shoot(c, 'cut');
  for (const text of ['missed one', 'missed two', 'missed three']) await publish('chat', 'text/plain', text);
  cut.refusing = false;
  await c.locator('#log .note', { hasText: 'missed 3, caught up' }).waitFor();
  await ready(c);
  equal((await c.locator('#log .bare .text').allTextContents()).slice(-3), ['missed one', 'missed two', 'missed three']);
  for (const text of ['missed one', 'missed three']) await c.locator('#stream li', { hasText: text }).waitFor();
  if (shots) await shoot(c, 'caughtup');
  // The page says so where no WebSocket comes through. In TLS the proxy sees none.
  cut.blocking = true;
  cut.cut();
  if (base.startsWith('ws:')) await c.locator('#ws-state', { hasText: 'events instead' }).waitFor();
  await publish('chat', 'text/plain', 'over events');
  await heard(c, 'over events');
  // A page that becomes visible, or a network that is there again, does not wait.
  cut.refusing = true;
  cut.cut();
  await c.locator('#ws-state[data-state=waiting]').waitFor();
  cut.refusing = cut.blocking = false;
  await c.evaluate(() => dispatchEvent(new Event('online')));
  await c.locator('#ws-state', { hasText: /connected/ }).waitFor();
  await c.close();
  cut.cut();
  cut.server.close();
});
let cut, away;
test('a page that is away while the node restarts', async () => {
  cut = await new Proxy(base).listen();
  away = await tab(site.replace(/:\d+$/, ':' + cut.port) + '/', { silent: false });
  await ready(away);
  await publish('chat', 'text/plain', 'before the restart');
  await heard(away, 'before the restart');
  cut.refusing = true;
  cut.cut();
  await away.locator('#ws-state[data-state=waiting]').waitFor();
});
test('EventSource comes back after a restart', async () => {
  // The page closes its own after an error; this one is left to the browser.
  complaints.length = 0;
  await a.bringToFront();
  await a.evaluate(url => {
    window.opened = 0;
    window.got = [];
    window.source = new EventSource(url);
    source.onopen = () => opened++;
    source.onmessage = e => got.push(e.data);
  }, site + '/sse?topic=again');
  await until(() => a.evaluate(() => opened === 1));
  console.log('restart');
  await until(() => a.evaluate(() => { if (source.readyState === EventSource.CLOSED) throw new Error('given up'); return opened >= 2; }));
  // It may have met the old node once more, and there may be none for a moment.
  await until(async () => {
    await publish('again', 'text/plain', 'after the restart').catch(() => {});
    return a.evaluate(() => got.includes('after the restart'));
  });
  await ready(a); // and so does the page
  await say(a, 'still here');
  await heard(a, 'still here');
  equal(await a.locator('#log .note').first().textContent(), 'connection closed (1012, service restart)');
  if (!keeps) await a.locator('#log .note', { hasText: 'messages may be missing (epoch)' }).waitFor(); // what the old process kept is gone
  if (shots) await shoot(a, 'restart');
});
test('what it missed over the restart', async () => {
  for (const text of ['kept one', 'kept two']) await publish('chat', 'text/plain', text);
  cut.refusing = false;
  await away.evaluate(() => dispatchEvent(new Event('online')));
  await away.locator('#log .note', { hasText: keeps ? 'missed 3, caught up' : 'messages may be missing (epoch)' }).waitFor();
  await ready(away);
  if (keeps) equal((await away.locator('#log .text').allTextContents()).slice(-4), ['before the restart', 'still here', 'kept one', 'kept two']);
  else await publish('chat', 'text/plain', 'and then').then(() => heard(away, 'and then'));
  if (shots) await shoot(away, keeps ? 'kept' : 'forgotten');
  await away.close();
  cut.cut();
  cut.server.close();
});
test('end', async () => { await context.close(); });
await run();
