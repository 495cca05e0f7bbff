// Chromium behind nginx as it is installed: long polling, and the client of the node.
import { chromium } from 'playwright-core';
import fs from 'node:fs';
import { test, run, equal, rest, publish, until } from './tap.mjs';

const [profile, site, closed] = rest; // closed: no events come through there
const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(fs.existsSync);
const context = await chromium.launchPersistentContext(profile, {
  executablePath, headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
// A page of that origin; its script polls, and keeps what it gets and when each poll began.
async function open(origin) {
  const page = await context.newPage();
  await page.goto(origin + '/c100k.mjs');
  await page.evaluate(() => {
    window.got = []; window.polls = 0;
    window.poll = async topic => {
      for (let after = '';;) {
        polls++;
        const answer = await fetch(`/poll?topic=${topic}&wait=55s${after && '&after=' + encodeURIComponent(after)}`, { cache: 'no-store' });
        if (!answer.ok) throw new Error(answer.status + ' ' + await answer.text());
        const m = await answer.json();
        if (m.reset) throw new Error(JSON.stringify(m.reset));
        got.push(...m.messages.map(m => m.data));
        after = m.after;
      }
    };
    window.start = async topic => {
      const { connect } = await import('/c100k.mjs');
      window.client = connect(); window.heard = []; window.states = [];
      client.on('state', s => states.push(s));
      window.sub = client.subscribe(topic, m => heard.push(m.data));
    };
  });
  return page;
}
const text = (topic, data) => publish(topic, 'text/plain', data);
for (const [name, origin] of [['events come through', site], ['no events come through', closed]]) {
  const topic = 'chat.' + name.replaceAll(' ', '-');
  test('polls, where ' + name, async () => {
    const page = await open(origin);
    await page.evaluate(topic => { poll(topic).catch(e => got.push(String(e))); }, topic);
    // The next poll waits already when the message before has come: nothing is held back until more is there.
    for (let i = 1; i <= 5; i++) {
      await until(() => page.evaluate(i => polls === i, i));
      await until(async () => (await text(topic, String(i))).matched === 1 || (await page.evaluate(() => got.length)) >= i);
      await until(() => page.evaluate(i => got.length >= i && got.at(-1) === String(i), i));
    }
    equal((await page.evaluate(() => got)).filter((d, i, all) => d !== all[i - 1]), ['1', '2', '3', '4', '5']);
    await page.close();
  });
}
test('the client takes events', async () => {
  const page = await open(site);
  await page.evaluate(() => start('chat.client'));
  await until(() => page.evaluate(() => client.transport === 'sse'));
  await page.evaluate(() => sub.ready);
  for (let i = 1; i <= 3; i++) {
    equal((await text('chat.client', String(i))).matched, 1);
    await until(() => page.evaluate(i => heard.length === i, i)); // each at once
  }
  equal(await page.evaluate(() => [client.state, heard]), ['open', ['1', '2', '3']]);
  await page.close();
});
test('the client says that nothing comes through', async () => {
  const page = await open(closed);
  await page.evaluate(() => start('chat.client'));
  await until(() => page.evaluate(() => states.filter(s => s.state === 'waiting').length >= 3));
  equal(await page.evaluate(() => [states.some(s => s.state === 'open'), client.transport, states.at(-1).state !== 'closed']), [false, '', true]);
  await page.close();
});
test('end', () => context.close());
await run();
