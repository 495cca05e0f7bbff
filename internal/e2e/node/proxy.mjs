// A TCP proxy in front of a node that cuts, stalls, refuses, and lets no WebSocket through.
import net from 'node:net';

export class Proxy {
  #pairs = new Set();
  refusing = false; // connections are closed as soon as they are there
  blocking = false; // requests for a WebSocket are answered 403, as some networks do
  stalled = false;
  taken = 0;        // connections that were passed on
  blocked = 0;      // those that were answered 403

  constructor(target) {
    const [host, port] = target.replace(/^\w+:\/\//, '').split(':');
    this.server = net.createServer(client => {
      client.on('error', () => {});
      if (this.refusing) return client.destroy();
      client.once('data', first => {
        if (this.blocking && /^upgrade: websocket/im.test(first.toString('latin1'))) {
          this.blocked++;
          return client.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
        }
        this.taken++;
        const node = net.connect({ host, port }), pair = [client, node];
        node.write(first);
        this.#pairs.add(pair);
        if (this.stalled) for (const one of pair) one.pause();
        for (const [from, to] of [[client, node], [node, client]]) {
          from.on('error', () => {});
          from.on('data', data => to.write(data));
          from.on('close', () => { to.destroy(); this.#pairs.delete(pair); });
        }
        if (this.stalled) for (const one of pair) one.pause();
      });
    });
  }
  async listen() {
    await new Promise(done => this.server.listen(0, '127.0.0.1', done));
    this.port = this.server.address().port;
    return this;
  }
  get open() { return this.#pairs.size; }
  cut() { for (const pair of this.#pairs) for (const one of pair) one.destroy(); }
  stall() { this.stalled = true; for (const pair of this.#pairs) for (const one of pair) one.pause(); }
  flow() { this.stalled = false; for (const pair of this.#pairs) for (const one of pair) one.resume(); }
}

// Clock is the time of a client under test: it stands still until it is told to go on.
export class Clock {
  now = 1000;
  #timers = new Map();
  #last = 0;
  setTimeout = (f, ms = 0) => { this.#timers.set(++this.#last, { f, at: this.now + ms, ms }); return this.#last; };
  clearTimeout = id => { this.#timers.delete(id); };
  performance = { now: () => this.now };
  // The longest that any timer has still to go; none: -1.
  get pending() { return [...this.#timers.values()].map(t => t.ms); }
  advance(ms) {
    for (const end = this.now + ms; ;) {
      const due = [...this.#timers].filter(([, t]) => t.at <= end).sort((a, b) => a[1].at - b[1].at)[0];
      if (!due) { this.now = end; return; }
      this.#timers.delete(due[0]);
      this.now = due[1].at;
      due[1].f();
    }
  }
}
