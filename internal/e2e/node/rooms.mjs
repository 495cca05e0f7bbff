// Chromium with examples/rooms: Ann reads and writes, Bob reads, Eve is refused with a sentence.
import { chromium } from 'playwright-core';
import fs from 'node:fs';
import { test, run, equal, base } from './tap.mjs';

const site = base.replace('ws', 'http');
const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(fs.existsSync);
const browser = await chromium.launch({
  executablePath, headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const shots = process.env.C100K_E2E_SHOTS;

// enter opens the page as a user, in a browser of its own, and waits until it knows where it is.
async function enter(path, name) {
  const context = await browser.newContext({ viewport: { width: 480, height: 420 } });
  const page = await context.newPage();
  await page.goto(site + path);
  await page.click(`button[value=${name}]`);
  await page.waitForFunction(() => /in the room|outside/.test(document.getElementById('state').textContent));
  return page;
}
const say = async (page, text) => { await page.fill('#text', text); await page.click('#send button'); };
const alert = page => page.waitForSelector('#no:not([hidden])').then(e => e.textContent());

for (const [kind, path] of [['WebSocket', '/'], ['Socket.IO', '/socketio.html']]) {
  test(`${kind}: who may do what`, async () => {
    const [ann, bob, eve] = [await enter(path, 'ann'), await enter(path, 'bob'), await enter(path, 'eve')];
    equal(await alert(eve), 'Eve is not a member of this room. Ask Ann for an invitation.');
    equal(await eve.isVisible('#send'), false);
    await say(ann, 'Hello, all');
    for (const page of [ann, bob]) {
      await page.waitForSelector('#log p');
      equal(await page.textContent('#log'), 'Ann: Hello, all');
    }
    await say(bob, 'May I?');
    equal(await alert(bob), 'Bob may read in this room, and not write.');
    equal(await ann.textContent('#log'), 'Ann: Hello, all');
    equal(await eve.textContent('#log'), '');
    if (shots) for (const [name, page] of Object.entries({ ann, bob, eve })) await page.screenshot({ path: `${shots}/rooms-${kind}-${name}.png` });
  });
}
test('the end', async () => { await browser.close(); });
run();
