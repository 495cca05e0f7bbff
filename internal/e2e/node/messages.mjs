// Messages of every kind and size through npm ws: what is sent to /echo comes back the same.
import { test, run, equal, connect, rest } from './tap.mjs';

const largest = Number(rest[0]);          // --max-message of the node
const deflate = rest[1] === 'deflate';    // whether the node compresses
const topics = rest[2] !== 'handlers';    // a program of package websocket has /echo alone
const options = { perMessageDeflate: deflate ? { threshold: 0 } : false, maxPayload: 8 << 20 };
const echo = () => connect('/echo', options);

test('extension', async () => {
  const c = await echo();
  equal(c.ws.extensions, deflate ? 'permessage-deflate' : '');
  await c.end();
});
test('text', async () => {
  const c = await echo();
  for (const s of ['hello', 'žluťoučký kůň', '\u0000', '😀'.repeat(1000), 'x'.repeat(125), 'x'.repeat(126), 'x'.repeat(65535)]) { c.send(s); equal(await c.text(), s); }
  equal((await c.end()).code, 1000);
});
test('binary', async () => {
  const c = await echo();
  for (const n of [1, 125, 126, 127, 4096, 65535, 65536].filter(n => n <= largest)) {
    const b = Buffer.alloc(n, 0).map((_, i) => i * 7);
    c.send(b);
    equal(await c.bytes(), b, n + ' bytes:');
  }
  await c.end();
});
test('empty', async () => {
  const c = await echo();
  c.send('');
  equal(await c.text(), '');
  c.send(Buffer.alloc(0));
  equal((await c.bytes()).length, 0);
  await c.end();
});
test('fragments', async () => {
  const c = await echo();
  for (const part of ['a', '', 'b', 'c'.repeat(300)]) c.send(part, { fin: false });
  c.send('end', { fin: true });
  equal(await c.text(), 'ab' + 'c'.repeat(300) + 'end');
  c.send(Buffer.from([1]), { fin: false, binary: true });
  c.send(Buffer.from([2]), { fin: true, binary: true });
  equal(await c.bytes(), Buffer.from([1, 2]));
  await c.end();
});
test('a character split over fragments', async () => {
  const c = await echo();
  const euro = Buffer.from('€');
  c.send(euro.subarray(0, 1), { binary: false, fin: false });
  c.send(euro.subarray(1, 2), { binary: false, fin: false });
  c.send(euro.subarray(2), { binary: false, fin: true });
  equal(await c.text(), '€');
  await c.end();
});
test('ping between fragments', async () => {
  const c = await echo();
  c.send('a', { fin: false });
  c.ws.ping('between');
  c.send('b', { fin: true });
  equal(await c.text(), 'ab');
  equal(c.pongs.map(String), ['between']);
  await c.end();
});
test('ping and pong', async () => {
  const c = await echo();
  for (const p of ['', 'p', 'x'.repeat(125)]) {
    const pong = new Promise(done => c.ws.once('pong', done));
    c.ws.ping(p);
    equal((await pong).toString(), p);
  }
  c.ws.pong('nobody asked');
  c.send('still here');
  equal(await c.text(), 'still here');
  await c.end();
});
test('many messages in order', async () => {
  const c = await echo();
  for (let i = 0; i < 5000; i++) c.send('message ' + i);
  for (let i = 0; i < 5000; i++) equal(await c.text(), 'message ' + i);
  await c.end();
});
test('the largest message', async () => {
  const c = await echo();
  const b = Buffer.alloc(largest, 'abcdefghij');
  for (const binary of [true, false]) { c.send(b, { binary }); equal((await c.next()).data.equals(b), true); }
  await c.end();
});
test('one byte more is 1009', async () => {
  const c = await echo();
  c.send(Buffer.alloc(largest + 1, 97));
  const { code, reason } = await c.closed;
  equal(code, 1009);
  equal(reason.length > 0, true);
});
test('one byte more in fragments is 1009', async () => {
  const c = await echo();
  c.send(Buffer.alloc(largest, 97), { fin: false });
  c.send(Buffer.alloc(1, 97), { fin: true });
  equal((await c.closed).code, 1009);
});
test('a connection without the extension beside one with it', async () => {
  const c = await connect('/echo');
  equal(c.ws.extensions, '');
  c.send('plain '.repeat(100));
  equal(await c.text(), 'plain '.repeat(100));
  await c.end();
});
if (deflate) {
  const offers = [
    { serverNoContextTakeover: true, clientNoContextTakeover: true }, { clientMaxWindowBits: 10 }, { clientMaxWindowBits: true }, { threshold: 0, zlibDeflateOptions: { level: 9 } },
  ];
  for (const [i, offer] of offers.entries()) {
    test(`offer ${i}`, async () => {
      const c = await connect('/echo', { perMessageDeflate: { threshold: 0, ...offer } });
      for (const s of ['', 'short', 'long '.repeat(2000)]) for (let n = 0; n < 3; n++) { c.send(s); equal(await c.text(), s); }
      await c.end();
    });
  }
  for (const serverMaxWindowBits of [9, 10, 11, 12, 13, 14, 15]) {
    test(`messages in a window of ${serverMaxWindowBits} bits`, async () => {
      const c = await connect('/echo', { perMessageDeflate: { threshold: 0, serverMaxWindowBits } });
      equal(c.ws.extensions, 'permessage-deflate');
      const lines = Array.from({ length: largest >> 8 }, (_, i) => `{"line":${i},"text":"${'ab'.repeat(i % 50)}"}`).join('\n');
      for (const s of ['', 'short', 'long '.repeat(2000), lines]) { c.send(s); equal(await c.text(), s); }
      await c.end();
    });
  }
  test('a bomb is 1009', async () => {
    const c = await echo();
    c.send(Buffer.alloc(largest * 4)); // far below the limit on the wire
    equal((await c.closed).code, 1009);
  });
  if (topics) test('a broadcast, compressed and not', async () => {
    const topic = '/ws?topic=deflate';
    const with_ = await connect(topic, options), without = await connect(topic);
    const narrow = await connect(topic, { perMessageDeflate: { threshold: 0, serverMaxWindowBits: 9 } });
    const s = 'again and again '.repeat(500);
    with_.send(s);
    equal(await with_.text(), s);
    equal(await without.text(), s);
    equal(await narrow.text(), s);
    await Promise.all([with_.end(), without.end(), narrow.end()]);
  });
}
run();
