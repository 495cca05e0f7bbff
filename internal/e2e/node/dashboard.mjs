// The dashboard in Chromium, and the API behind it, of a node of two workers: every page, names that want to be markup, and who
// may do what. C100K_E2E_SHOTS=DIR leaves screenshots of every page there.
import { chromium } from 'playwright-core';
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import { test, run, equal, admin, rest, Client, publish, until } from './tap.mjs';

const [profile, secret, apiKey, readKey] = rest;
const shots = process.env.C100K_E2E_SHOTS;
const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(fs.existsSync);
const port = new URL(admin).port;
const browser = await chromium.launchPersistentContext(profile, {
  executablePath, headless: true, viewport: { width: 390, height: 800 },
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--host-resolver-rules=MAP rebind.example 127.0.0.1'],
});

const token = sub => {
  const part = v => Buffer.from(JSON.stringify(v)).toString('base64url');
  const text = part({ alg: 'HS256', typ: 'JWT' }) + '.' + part({ sub, exp: Math.floor(Date.now() / 1000) + 3600, jti: '<b>jti</b>', c100k: { subscribe: ['>'], publish: ['>'] } });
  return text + '.' + crypto.createHmac('sha256', secret).update(text).digest('base64url');
};
const get = async (path, headers = {}) => {
  const r = await fetch(admin + path, { headers });
  return { status: r.status, body: await r.json().catch(() => null) };
};
// accepted is how many messages the node has taken.
const accepted = async () => Number(/^c100k_publishes_total\{result="accepted"\} (\d+)$/m.exec(await (await fetch(admin + '/metrics')).text())[1]);
const far = { 'X-Forwarded-For': '192.0.2.1' }; // a request that a proxy has passed on is not of this machine

// Names that a client may choose. What is hidden in them is shown as escapes.
const markup = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
const names = { markup, rtl: 'evil\u202e\u2066\u200bgnp.exe', long: 'w'.repeat(255) };
const shown = { markup, rtl: 'evil\\u202e\\u2066\\u200bgnp.exe', long: 'w'.repeat(255) };

const complaints = [];
async function tab(url, context = browser) {
  const page = await context.newPage();
  page.on('console', m => { if (['error', 'warning'].includes(m.type())) complaints.push(m.text()); });
  page.on('pageerror', e => complaints.push(String(e)));
  page.on('dialog', d => { complaints.push('dialog: ' + d.message()); d.dismiss(); });
  await page.addInitScript(() => addEventListener('securitypolicyviolation', e => console.error('CSP: ' + e.violatedDirective)));
  page.response = await page.goto(url);
  return page;
}
const go = async (page, hash) => { await page.evaluate(h => { location.hash = h; }, hash); await page.locator('main h1').waitFor(); };
// sound: nothing of a client has become markup, and the page is not wider than the screen.
async function sound(page, what) {
  const found = await page.evaluate(() => ({
    title: document.title, foreign: document.querySelectorAll('main img, main script, main iframe').length,
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    nameless: [...document.querySelectorAll('button, a, input, select, textarea')].filter(e => e.offsetParent && !(e.textContent.trim() || e.labels?.length || e.getAttribute('aria-label'))).length,
  }));
  equal([found.title.startsWith('c100k '), found.foreign, found.wide <= 0, found.nameless], [true, 0, true, 0], what);
  equal(complaints.join('; '), '', what);
}

const clients = {};
const crowd = [];
let page;
test('connections of all workers are listed, and counted once', async () => {
  for (const [name, text] of Object.entries(names)) {
    clients[name] = await new Client(`/ws?topic=${encodeURIComponent(text)}&access_token=${token(text.slice(0, 128))}`).open();
  }
  for (let i = 0; i < 24; i++) crowd.push(await new Client('/ws?topic=crowd').open());
  const { body } = await get('/v1/connections?topic=crowd');
  equal([body.connections.length, new Set(body.connections.map(c => c.id)).size], [24, 24]);
  let stats;
  await until(async () => (stats = (await get('/v1/stats')).body).subscriptions === 27);
  equal([stats.workers.length, stats.workers.every(w => w.connections > 0), stats.subscriptions], [2, true, 27], JSON.stringify(stats.workers));
  equal((await publish('crowd', 'text/plain', 'hello')).matched, 24);
  await Promise.all(crowd.map(c => c.text()));
  equal(await accepted(), 1);
});
test('an end is kept with its reason, whichever worker had it', async () => {
  const { body } = await get('/v1/connections?topic=crowd');
  for (const c of crowd.splice(0, 12)) c.ws.close(4000, 'bye <b>' + '\u202e' + '</b>');
  await until(async () => (await get('/v1/closes')).body.closes.length >= 12);
  const closes = (await get('/v1/closes')).body.closes;
  equal([closes.length, closes.every(c => c.reason === 'peer' && c.code === 4000 && c.closed)], [12, true], JSON.stringify(closes[0]));
  equal((await get('/v1/connections/' + closes[0].id)).body.reason, 'peer');
  equal(body.connections.some(c => c.id === closes[0].id), true);
  equal((await get('/v1/connections/zzz')).status, 400);
});
test('every page loads, at 390 pixels, with names that want to be markup', async () => {
  page = await tab(admin + '/');
  const headers = page.response.headers();
  equal(headers['content-security-policy'].includes("default-src 'none'") && !headers['content-security-policy'].includes('unsafe'), true);
  await page.locator('#state', { hasText: 'live' }).waitFor();
  for (const [hash, wants] of [
    ['#/overview', ['open files', 'serving']], ['#/topics', Object.values(shown)], ['#/connections?limit=100', [shown.markup, shown.rtl, shown.long.slice(0, 128)]],
    ['#/users?' + new URLSearchParams({ sub: names.markup }), [shown.markup, 'Close all']], ['#/users?' + new URLSearchParams({ sub: names.rtl }), [shown.rtl]],
    ['#/closes', ['bye <b>\\u202e</b>']], ['#/publish', ['topic']],
  ]) {
    await go(page, hash);
    for (const want of wants) await page.getByText(want).first().waitFor({ state: 'attached', timeout: 20000 }).catch(() => { throw new Error(`${hash}: no ${want}`); });
    await sound(page, hash);
  }
});
test('a connection: rights, topics, a live trace, and its end', async () => {
  const { body } = await get('/v1/connections?' + new URLSearchParams({ sub: names.markup }));
  const id = body.connections[0].id;
  await go(page, '#/connection?id=' + id);
  await page.getByText('may subscribe').waitFor();
  await page.check('#payload');
  await page.getByText('Start the trace').click();
  await until(async () => { // the trace has begun when it has something
    await publish(names.markup, 'text/plain', '<b>payload</b>');
    return (await page.locator('.live').textContent()).includes('<b>payload</b>');
  });
  await sound(page, 'trace');
  await page.getByText('Close', { exact: true }).click();
  await page.locator('#yes').click();
  await page.getByText('in words').waitFor();
  equal((await clients.markup.closed).code !== 1006, true);
  await sound(page, 'closed');
});
test('publishing with the box, and the keyboard', async () => {
  await go(page, '#/publish');
  await page.getByLabel('topic').fill('crowd');
  await page.getByLabel('data').fill('from the box');
  await page.getByLabel('data').press('Tab');
  await page.keyboard.press('Enter');
  await page.getByText('matched 12').waitFor();
  await page.goto(admin + '/#/connections?topic=crowd');
  const link = page.locator('tbody a').first();
  await link.focus();
  const before = await link.evaluate(e => { e.closest('tr').dataset.old = '1'; return e.textContent; });
  await until(() => page.evaluate(() => !document.querySelector('tr[data-old]'))); // it was filled anew
  equal(await page.evaluate(() => document.activeElement.textContent), before, 'the focus after a refresh');
});
test('a page that is not of this machine logs in, and its role holds', async () => {
  const remote = await browser.browser()?.newContext({ extraHTTPHeaders: far }) ?? null;
  const context = remote ?? browser;
  if (!remote) await browser.setExtraHTTPHeaders(far);
  const p = await tab(admin + '/', context);
  const submit = async key => { await p.getByLabel('key').fill(key); await p.getByRole('button', { name: 'Log in' }).click(); };
  await submit('wrong-key-wrong-key');
  await p.getByText('not the right one').waitFor();
  equal(complaints.splice(0).every(c => c.includes('401')), true); // the browser's own line about the answer
  await submit(readKey);
  await p.locator('#state', { hasText: 'live' }).waitFor();
  await p.getByText('open files').waitFor();
  equal(await p.getByText('Drain the node').isDisabled(), true);
  equal(await p.evaluate(() => document.cookie), '', 'the cookie is not for scripts');
  const status = (method, headers) => p.evaluate(async ([m, h]) => (await fetch('/v1/topics/a', { method: m, body: 'x', headers: h })).status, [method, headers]);
  equal(await status('POST', {}), 403, 'a key that may only read');
  await p.getByText('Log out').click();
  await submit(apiKey);
  await p.locator('#state', { hasText: 'live' }).waitFor();
  equal(await status('POST', {}), 403, 'without CSRF');
  const csrf = (await p.evaluate(async () => (await fetch('/ui/session')).json())).csrf;
  equal(await status('POST', { 'X-C100K-CSRF': csrf }), 200);
  complaints.length = 0; // the 403 above
  await p.close();
  await (remote ? remote.close() : browser.setExtraHTTPHeaders({}));
  for (const path of ['/v1/stats', `/v1/stats?access_token=${apiKey}`, `/v1/stats?api_key=${apiKey}&key=${apiKey}`]) equal((await get(path, far)).status, 401, path);
  equal((await get('/v1/stats', { ...far, Authorization: 'Bearer ' + apiKey })).status, 200);
});
test('other sites get nothing: a frame, a page of another origin, a name that was bound again', async () => {
  const site = http.createServer((_, response) => response.setHeader('Content-Type', 'text/html').end(`<iframe id=f src="${admin}/"></iframe>`)).listen(0, '127.0.0.1');
  await new Promise(done => site.on('listening', done));
  const evil = await browser.newPage(), refused = [], before = await accepted();
  evil.on('console', m => refused.push(m.text()));
  await evil.goto(`http://localhost:${site.address().port}/`);
  await until(() => refused.some(text => text.includes('frame-ancestors')));
  equal(await evil.evaluate(async to => fetch(to + '/v1/stats').then(r => r.status, () => 'blocked'), admin), 'blocked');
  equal(await evil.evaluate(async to => fetch(to + '/v1/topics/crowd', { method: 'POST', body: 'x', mode: 'no-cors' }).then(r => r.type, () => 'blocked'), admin), 'opaque');
  const rebound = await browser.newPage();
  await rebound.goto(`http://rebind.example:${port}/`);
  await rebound.locator('#state.bad', { hasText: 'rebind.example' }).waitFor();
  equal(await rebound.evaluate(async () => (await fetch('/v1/connections')).status), 403);
  site.close();
  await publish('crowd', 'text/plain', 'x');
  equal(await accepted() - before, 1, 'what another site has sent was not published');
  await evil.close();
  await rebound.close();
});
if (shots) {
  test('screenshots', async () => {
    const { body } = await get('/v1/connections?' + new URLSearchParams({ sub: names.rtl }));
    for (const scheme of ['light', 'dark']) for (const width of [390, 1280]) {
      await page.emulateMedia({ colorScheme: scheme });
      await page.setViewportSize({ width, height: 900 });
      for (const name of ['overview', 'topics', 'connections', 'connection?id=' + body.connections[0].id, 'users?' + new URLSearchParams({ sub: names.rtl }), 'closes', 'publish']) {
        await go(page, '#/' + name);
        await page.waitForTimeout(700);
        await page.screenshot({ path: `${shots}/${name.split('?')[0]}-${scheme}-${width}.png`, fullPage: true });
      }
    }
  });
}
await run();
