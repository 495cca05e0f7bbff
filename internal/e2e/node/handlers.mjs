// Chromium and npm ws as clients of a program with handlers of package websocket.
import { chromium } from 'playwright-core';
import fs from 'node:fs';
import http from 'node:http';
import { test, run, equal, base, rest, connect } from './tap.mjs';

const [profile] = rest;
const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(fs.existsSync);
const context = await chromium.launchPersistentContext(profile, {
  executablePath, headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
// A page of another origin: the program allows all.
const site = http.createServer((_, response) => response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>page</title>'));
await new Promise(done => site.listen(0, '127.0.0.1', done));

async function tab() {
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${site.address().port}/`);
  await page.evaluate(url => new Promise((yes, no) => {
    const ws = new WebSocket(url, ['other', 'test.v1']);
    ws.binaryType = 'arraybuffer';
    const inbox = [], waiters = [];
    ws.onmessage = e => { const w = waiters.shift(); w ? w(e.data) : inbox.push(e.data); };
    ws.onopen = yes;
    ws.onerror = () => no(new Error('it does not open'));
    window.gone = new Promise(done => { ws.onclose = e => done([e.code, e.reason, e.wasClean]); });
    window.next = () => inbox.length ? Promise.resolve(inbox.shift()) : new Promise(done => waiters.push(done));
    window.ws = ws;
  }), base + '/echo');
  return page;
}

let a, b;
test('Chromium, subprotocol and compression', async () => {
  a = await tab();
  equal(await a.evaluate(() => ws.protocol), 'test.v1');
  equal((await a.evaluate(() => ws.extensions)).startsWith('permessage-deflate'), true);
});
test('Chromium, text and binary of many sizes', async () => {
  equal(await a.evaluate(async () => {
    const wrong = [];
    for (const n of [0, 1, 125, 126, 127, 4095, 4096, 65535, 65536]) {
      const text = 'x'.repeat(n);
      ws.send(text);
      if (await next() !== text) wrong.push('text ' + n);
      const bytes = new Uint8Array(n).map((_, i) => i * 7);
      ws.send(bytes);
      const back = new Uint8Array(await next());
      if (back.length !== n || back.some((v, i) => v !== bytes[i])) wrong.push('bytes ' + n);
    }
    return wrong;
  }), []);
});
test('Chromium, order of 1000 messages', async () => {
  equal(await a.evaluate(async () => {
    for (let i = 0; i < 1000; i++) ws.send('m' + i);
    for (let i = 0; i < 1000; i++) if (await next() !== 'm' + i) return i;
    return 'all';
  }), 'all');
});
test('Chromium, what one tab publishes, both hear', async () => {
  b = await tab();
  await a.evaluate(() => ws.send('say žluťoučký kůň'));
  equal([await a.evaluate(() => next()), await b.evaluate(() => next())], ['žluťoučký kůň', 'žluťoučký kůň']);
});
test('Chromium, an answer from another goroutine', async () => {
  await a.evaluate(() => ws.send('later'));
  equal(await a.evaluate(() => next()), 'done');
});
test('Chromium, the server closes', async () => {
  await a.evaluate(() => ws.send('close'));
  equal(await a.evaluate(() => gone), [4000, 'as you wish', true]);
});
test('Chromium, a handler that panics costs its connection', async () => {
  a = await tab();
  await a.evaluate(() => ws.send('panic'));
  equal((await a.evaluate(() => gone))[0], 1011);
  await b.evaluate(() => ws.send('still here'));
  equal(await b.evaluate(() => next()), 'still here');
});
test('Chromium, the client closes', async () => {
  await b.evaluate(() => ws.close(3001, 'enough'));
  equal(await b.evaluate(() => gone), [3001, '', true]);
});
test('npm ws, what one publishes, both hear', async () => {
  const [one, two] = [await connect('/echo', { perMessageDeflate: true }, ['test.v1']), await connect('/echo')];
  equal(one.ws.protocol, 'test.v1');
  one.send('say ' + 'long '.repeat(1000));
  equal([await one.text(), await two.text()], ['long '.repeat(1000), 'long '.repeat(1000)]);
  two.send('panic');
  equal((await two.closed).code, 1011);
  one.send('close');
  equal(await one.closed, { code: 4000, reason: 'as you wish' });
});
test('npm ws, a page is not a WebSocket', async () => {
  const response = await fetch(base.replace('ws', 'http') + '/echo');
  equal([response.status, response.headers.get('upgrade')], [426, 'websocket']);
});

test('end', async () => { await context.close(); site.close(); });
await run();
