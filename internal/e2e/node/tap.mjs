// A test harness of the size that is needed: tests run one after the other, and each prints one line that the Go test reads.
import { WebSocket } from 'ws';
import http from 'node:http';

export const [, , base, admin, ...rest] = process.argv; // ws://host:port, http://host:port
const tests = [];
export const test = (name, f) => tests.push([name, f]);
const PATIENCE = Number(process.env.C100K_E2E_PATIENCE || 90000); // ms a test

export async function run() {
  for (const [name, f] of tests) {
    let timer;
    try {
      await Promise.race([f(), new Promise((_, no) => { timer = setTimeout(() => no(new Error('timed out')), PATIENCE); })]);
      console.log(`ok ${name}`);
    } catch (e) {
      console.log(`not ok ${name}: ${String(e.stack || e).replaceAll('\n', ' | ').slice(0, 1000)}`);
    } finally { clearTimeout(timer); }
  }
  console.log('end');
  process.exit(0);
}

export function equal(got, want, what = '') {
  const [a, b] = [got, want].map(v => typeof v === 'string' ? v : Buffer.isBuffer(v) ? 'bytes ' + v.toString('hex') : JSON.stringify(v));
  if (a !== b) throw new Error(`${what} got ${String(a).slice(0, 200)}, want ${String(b).slice(0, 200)}`);
}

// Client keeps what arrives until somebody asks for it.
export class Client {
  constructor(path, options = {}, protocols = []) {
    this.ws = new WebSocket(base + path, protocols, { perMessageDeflate: false, ...options });
    this.inbox = [];
    this.waiters = [];
    this.pongs = [];
    this.closed = new Promise(done => this.ws.on('close', (code, reason) => done({ code, reason: reason.toString() })));
    this.ws.on('message', (data, binary) => this.#arrive({ data, binary }));
    this.ws.on('pong', data => this.pongs.push(data));
    this.failed = new Promise(done => this.ws.on('error', done));
    this.refused = new Promise(done => this.ws.on('unexpected-response', (request, response) => {
      let body = '';
      response.on('data', d => body += d).on('end', () => { done({ status: response.statusCode, headers: response.headers, body }); request.destroy(); });
    }));
  }
  #arrive(m) { const w = this.waiters.shift(); w ? w(m) : this.inbox.push(m); }
  async open() {
    const how = await Promise.race([new Promise(done => this.ws.on('open', () => done('open'))), this.failed, this.refused]);
    if (how !== 'open') throw new Error('not open: ' + JSON.stringify(how?.message ?? how));
    return this;
  }
  next() { return this.inbox.length ? Promise.resolve(this.inbox.shift()) : new Promise(done => this.waiters.push(done)); }
  async text() { const m = await this.next(); if (m.binary) throw new Error('binary: ' + m.data.toString('hex')); return m.data.toString(); }
  async bytes() { const m = await this.next(); if (!m.binary) throw new Error('text: ' + m.data); return m.data; }
  async json() { return JSON.parse(await this.text()); }
  send(data, options) { this.ws.send(data, options); }
  say(command) { this.ws.send(JSON.stringify(command)); }
  async end() { this.ws.close(1000); return this.closed; }
}
export const connect = (path, options, protocols) => new Client(path, options, protocols).open();

// publish posts to a topic over the admin port.
export async function publish(topic, type, body) {
  const r = await fetch(`${admin}/v1/topics/${encodeURIComponent(topic)}`, { method: 'POST', headers: { 'Content-Type': type }, body });
  if (r.status !== 200) throw new Error(`publish: ${r.status} ${await r.text()}`);
  return r.json();
}

// Events reads a stream of events as WHATWG HTML, 9.2.6 says.
export class Events {
  constructor(path, headers = {}) {
    this.events = [];
    this.waiters = [];
    this.comments = 0;
    this.ended = new Promise(done => { this.done = done; });
    this.opened = new Promise((yes, no) => {
      this.request = http.get(base.replace('ws', 'http') + path, { headers }, response => {
        this.response = response;
        response.setEncoding('utf8');
        let text = '';
        response.on('data', chunk => {
          text += chunk;
          for (let i; (i = text.indexOf('\n\n')) >= 0; text = text.slice(i + 2)) this.#block(text.slice(0, i));
        });
        response.on('close', this.done);
        yes(this);
      });
      this.request.on('error', e => { no(e); this.done(); });
    });
  }
  #block(block) {
    const e = { event: 'message', id: '', data: [] };
    for (const line of block.split('\n')) {
      const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
      if (field === '') this.comments++;
      else if (field === 'data') e.data.push(value);
      else if (field === 'retry') this.retry = Number(value);
      else e[field] = value;
    }
    if (!e.data.length) return;
    e.data = e.data.join('\n');
    const w = this.waiters.shift();
    w ? w(e) : this.events.push(e);
  }
  next() { return this.events.length ? Promise.resolve(this.events.shift()) : new Promise(done => this.waiters.push(done)); }
  end() { this.request.destroy(); }
}
export const events = path => new Events(path).opened;

// until waits for a condition.
export async function until(f) { while (!(await f())) await new Promise(done => setTimeout(done, 5)); }
