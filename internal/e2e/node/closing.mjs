// Ends of connections, from both sides.
import net from 'node:net';
import { test, run, equal, connect, base, rest } from './tap.mjs';

for (const code of [1000, 1001, 1003, 1008, 1011, 1012, 1013, 3000, 3999, 4000, 4999]) {
  test(`the client closes with ${code}`, async () => {
    const c = await connect('/echo');
    c.ws.close(code, 'a reason');
    equal((await c.closed).code, code);
  });
}
test('the client closes without a code', async () => {
  const c = await connect('/echo');
  c.ws.close();
  equal((await c.closed).code, 1005);
});
test('a reason of 123 bytes', async () => {
  const c = await connect('/echo');
  c.ws.close(4000, 'r'.repeat(123));
  equal((await c.closed).code, 4000);
});
test('what was sent before the close is answered', async () => {
  const c = await connect('/echo');
  for (let i = 0; i < 100; i++) c.send('m' + i);
  c.ws.close(1000);
  await c.closed;
  equal(c.inbox.length, 100);
});

// raw sends bytes behind a handshake and returns the status code of the close frame that comes back.
function raw(bytes, path = '/echo') {
  return new Promise((yes, no) => {
    const { hostname, port, host } = new URL(base);
    const socket = net.connect(Number(port), hostname);
    let got = Buffer.alloc(0);
    socket.on('error', no);
    socket.on('data', d => { got = Buffer.concat([got, d]); });
    socket.on('end', () => {
      socket.end();
      const at = got.indexOf('\r\n\r\n') + 4;
      const frame = got.subarray(at);
      if (frame[0] !== 0x88) return no(new Error('no close frame: ' + frame.toString('hex')));
      yes(frame[1] >= 2 ? frame.readUInt16BE(2) : 1005);
    });
    socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`);
    socket.write(Buffer.from(bytes, 'hex'));
  });
}
const mask = '00000000';
for (const [name, bytes, code] of [
  ['garbage', 'deadbeefdeadbeef', 1002],
  ['an unmasked frame', '810161', 1002],
  ['RSV1 without an extension', 'c181' + mask + '61', 1002],
  ['RSV2', 'a181' + mask + '61', 1002],
  ['RSV3', '9181' + mask + '61', 1002],
  ['opcode 3', '8380' + mask, 1002],
  ['opcode 7', '8780' + mask, 1002],
  ['opcode 11', '8b80' + mask, 1002],
  ['opcode 15', '8f80' + mask, 1002],
  ['a ping of 126 bytes', '89fe007e' + mask + '00'.repeat(126), 1002],
  ['a fragmented ping', '0980' + mask, 1002],
  ['a continuation of nothing', '8081' + mask + '61', 1002],
  ['a text inside a fragmented message', '0181' + mask + '61' + '8181' + mask + '62', 1002],
  ['a close body of one byte', '8881' + mask + '03', 1002],
  ['close code 999', '8882' + mask + '03e7', 1002],
  ['close code 1004', '8882' + mask + '03ec', 1002],
  ['close code 1005', '8882' + mask + '03ed', 1002],
  ['close code 1006', '8882' + mask + '03ee', 1002],
  ['close code 1015', '8882' + mask + '03f7', 1002],
  ['close code 2999', '8882' + mask + '0bb7', 1002],
  ['close code 5000', '8882' + mask + '1388', 1002],
  ['a 64-bit length with its highest bit', '82ff8000000000000000' + mask, 1002],
  ['a close reason that is not UTF-8', '8883' + mask + '03e8ff', 1007],
  ['text that is not UTF-8', '8181' + mask + 'ff', 1007],
  ['text with a surrogate', '8183' + mask + 'eda080', 1007],
  ['an overlong form', '8182' + mask + 'c0af', 1007],
  ['text that ends within a character', '8182' + mask + 'e282', 1007],
  ['an impossible byte at the start of a long text', '81fe1000' + mask + 'ff', 1007],
  ['a declared length beyond the limit', '82ff0000000000100000' + mask, 1009],
  ['a declared length of 2^62', '82ff4000000000000000' + mask, 1009],
]) test(name, async () => equal(await raw(bytes), code));

if (rest[0] === 'handlers') await run(); // a program of package websocket has /echo alone; this ends the script
test('binary data in c100k.v1 is 1003', async () => {
  const c = await connect('/ws', {}, ['c100k.v1']);
  c.send(Buffer.from([1]));
  equal((await c.closed).code, 1003);
});
test('a bare client of two topics that publishes is 1008', async () => {
  const c = await connect('/ws?topic=a&topic=b');
  c.send('to which?');
  const { code, reason } = await c.closed;
  equal(code, 1008);
  equal(/one topic/.test(reason), true, reason);
});
run();
