// Many clients at /broadcast, each of which says one thing: everybody hears everything once.
import { test, run, equal, connect, rest } from './tap.mjs';

const n = Number(rest[0]);
test(`${n} clients`, async () => {
  const clients = [];
  while (clients.length < n) clients.push(...await Promise.all(Array.from({ length: Math.min(50, n - clients.length) }, () => connect('/broadcast'))));
  const heard = clients.map(() => new Uint8Array(n));
  let left = n * n;
  await new Promise((yes, no) => {
    for (const [i, c] of clients.entries()) {
      c.ws.removeAllListeners('message');
      c.ws.on('message', data => { heard[i][Number(data)]++; if (--left === 0) yes(); });
      c.closed.then(() => no(new Error('closed')));
    }
    for (const [i, c] of clients.entries()) c.send(String(i));
  });
  equal(heard.every(h => h.every(count => count === 1)), true);
  for (const c of clients) c.ws.terminate();
});
run();
