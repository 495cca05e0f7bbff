// Chromium: two tabs of examples/chat.
import { chromium } from 'playwright-core';
import fs from 'node:fs';
import { test, run, equal, base, rest } from './tap.mjs';

const [profile] = rest;
const shots = process.env.C100K_E2E_SHOTS; // a directory for screenshots; none without it
const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(fs.existsSync);
const context = await chromium.launchPersistentContext(profile, {
  executablePath, headless: true, viewport: { width: 640, height: 480 },
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const complaints = [];
async function tab() {
  const page = await context.newPage();
  page.on('console', m => { if (['error', 'warning'].includes(m.type())) complaints.push(m.text()); });
  page.on('pageerror', e => complaints.push(String(e)));
  await page.goto(base.replace('ws', 'http') + '/');
  await page.locator('#state', { hasText: 'connected' }).waitFor();
  return page;
}
const say = async (page, name, text) => { await page.fill('#name', name); await page.fill('#text', text); await page.press('#text', 'Enter'); };
const heard = (page, text) => page.locator('#log p', { hasText: text }).waitFor();

let a, b;
test('two tabs talk', async () => {
  [a, b] = [await tab(), await tab()];
  await say(a, 'ann', 'hello bob');
  await Promise.all([heard(a, 'ann: hello bob'), heard(b, 'ann: hello bob')]);
  await say(b, 'bob', '<b>not markup</b> žluťoučký 😀');
  await Promise.all([heard(a, 'bob: <b>not markup</b> žluťoučký 😀'), heard(b, 'bob: <b>not markup</b>')]);
  equal([await a.locator('#log p').count(), await b.locator('#log p').count()], [2, 2]);
  equal(await a.locator('#log b').count(), 0, 'elements out of a message');
});
test('a tab that comes later', async () => {
  const c = await tab();
  await say(c, 'cid', 'me too');
  await Promise.all([a, b, c].map(page => heard(page, 'cid: me too')));
  if (shots) for (const [name, page] of Object.entries({ a, b })) await page.screenshot({ path: `${shots}/chat-${name}.png` });
});
test('nothing on the console', async () => { equal(complaints, []); });
test('end', async () => { await context.close(); });
await run();
