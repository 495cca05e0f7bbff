// The client of c100k: topics over WebSocket, or over Server-Sent Events where that is blocked.
//
// A Client holds one connection, and makes another when it ends. Each subscription knows the
// position of the last message it has had, and goes on behind it, so that a message comes once and
// in order. What cannot be brought is told as `reset`. README.md has the events and the options.

const FIRST = 500;         // ms: the first pause is drawn from 0 to FIRST, the next from 0 to twice as much, …
const LONGEST = 30e3;      // ms: … and no pause is drawn from more than this
const STEADY = 10e3;       // ms of connection after which pauses begin anew
const OPENING = 10e3;      // ms for the token, the handshake and the welcome
const QUIET = 30e3;        // ms without a message after which the node is asked for a sign of life
const ANSWER = 10e3;       // ms for that sign
const PROMPT = 5e3;        // ms for it when the page has become visible or the network has changed
const PATIENCE = 30e3;     // ms until a publish or a question must have been answered
const WAITING = 1000;      // publishes and questions that may wait at one time
const BLOCKED = 2;         // failed WebSockets in a row after which events are tried beside them
const RARELY = 300e3;      // ms: no pause between WebSockets is drawn from more while events come
const SILENT = 75e3;       // ms without a byte after which a stream of events is given up: heartbeats come each 30 s

/** A refusal: `code` is the node's, or one of `lost`, `timeout`, `overloaded`, `closed`. */
export class Failure extends Error {
  constructor(code, message) {
    super(message || code);
    this.code = code;
  }
}

const now = () => performance.now();
const draw = most => Math.random() * most;
const ignore = () => {};
// An exception of the application's is its own: it is thrown where nothing of ours can break.
const call = (functions, value) => {
  for (const f of [...functions ?? []]) {
    try { f(value); } catch (e) { queueMicrotask(() => { throw e; }); }
  }
};
const bytesOf = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));

// What is wanted, topics and watches, in words that the node understands.
const wishOf = want => want.wish?.() ?? want;

// The address of a stream of events that brings it.
const streamOf = wishes => {
  const query = new URLSearchParams({ form: 'c100k.v1' });
  for (const { topic, after, last, rewind, hearer } of wishes.map(w => w.topic ? w : { topic: w })) {
    query.append(hearer ? 'watch' : 'topic', topic);
    if (!hearer) query.append('from', after ?? (last ? 'last=' + last : rewind ? 'rewind=' + rewind : ''));
  }
  return 'sse?' + query;
};

/** A topic that the client wants, and where it is in it. */
class Topic {
  readers = new Set();
  position = undefined; // of the last message, where the topic has a history
  begun = false;        // the node has accepted it once
  live = false;         // it has on this connection
  left = -1;            // missed messages that have not come yet; -1: nothing is being resumed
  missed = 0;
  constructor(name, from) {
    this.name = name;
    this.from = from;   // where it begins the first time
  }
  // Where it goes on, in the words of the protocol.
  wish() {
    if (this.position) return { topic: this.name, after: this.position };
    if (this.from && !this.begun) return { topic: this.name, ...this.from };
    return this.name;
  }
}

export class Client {
  state = 'closed';    // connecting, open, waiting (for the next attempt), closed
  transport = '';      // websocket, sse
  id = '';             // of the connection, as the node's API knows it
  #url; #options;
  #topics = new Map();   // name to Topic
  #watches = new Set();  // {topic, hearer} of presence
  #hearers = new Map();  // event to a set of functions
  #asked = new Map();    // id of a command to [done, failed]
  #queue = [];           // publishes and questions for the next connection: [command, done, failed]
  #last = 0;             // id of the last command
  #ws; #token; #opened; #timer; #pulse;
  #run = 0;              // number of the attempt: what belongs to an earlier one is ignored
  #tries = 0;            // pauses since the last steady connection
  #blocked = 0;          // WebSockets in a row that were not welcomed
  #events; #changed;     // the stream of events; a change of topics for which it is to be opened anew

  constructor(url, options = {}) {
    this.#url = new URL(url ?? '/ws', globalThis.location?.href);
    this.#url.protocol = this.#url.protocol.replace('http', 'ws');
    this.#options = options;
  }

  on(event, hearer) {
    if (!this.#hearers.has(event)) this.#hearers.set(event, new Set());
    this.#hearers.get(event).add(hearer);
    return () => this.#hearers.get(event).delete(hearer);
  }

  connect() {
    if (this.state === 'closed') {
      for (const [target, event] of this.#signals()) target.addEventListener(event, this.#signal);
      this.#attempt();
    }
    return this;
  }

  close() {
    if (this.state === 'closed') return;
    for (const [target, event] of this.#signals()) target.removeEventListener(event, this.#signal);
    this.#drop('closed');
    this.#endEvents();
    clearTimeout(this.#timer);
    this.#tries = this.#blocked = 0;
    for (const [, , failed] of this.#queue.splice(0)) failed(new Failure('closed'));
    this.#become('closed');
  }

  subscribe(name, reader = ignore, from) {
    let topic = this.#topics.get(name);
    if (!topic) {
      topic = new Topic(name, from);
      this.#topics.set(name, topic);
      topic.ready = new Promise((done, failed) => { topic.done = done; topic.failed = failed; });
      topic.ready.catch(ignore); // whoever does not ask is told by the event `error`
      this.#begin(topic);
    }
    const own = m => reader(m); // one function may read twice
    topic.readers.add(own);
    return {
      topic: name,
      ready: topic.ready,
      get position() { return topic.position; },
      unsubscribe: () => {
        if (!topic.readers.delete(own) || topic.readers.size || this.#topics.get(name) !== topic) return;
        this.#topics.delete(name);
        topic.failed(new Failure('closed'));
        if (topic.live && this.#opened) this.#send({ type: 'unsubscribe', topics: [name] });
        this.#streamAnew();
      },
    };
  }

  publish(topic, data) { return this.#ask({ type: 'publish', topic, data }); }

  presence(topic, after) { return this.#ask({ type: 'presence', topic, after }); }

  watch(topic, hearer) {
    const watch = { topic, hearer };
    this.#watches.add(watch);
    this.#watch(watch);
    return () => {
      this.#watches.delete(watch);
      if (this.#opened && ![...this.#watches].some(w => w.topic === topic)) this.#command({ type: 'presence', topic, watch: false }, ignore, ignore);
      this.#streamAnew();
    };
  }

  #watch(watch) {
    const { topic, hearer } = watch, failed = e => {
      if (e.code === 'overloaded') setTimeout(() => this.#watches.has(watch) && this.#watch(watch), draw(LONGEST));
      else if (e.code !== 'lost' && e.code !== 'closed') this.#refused(watch, e);
    };
    if (this.#opened) this.#command({ type: 'presence', topic, watch: true }, m => call([hearer], m), failed);
    else this.#streamAnew();
  }

  // ---- connecting

  async #attempt() {
    const run = ++this.#run;
    clearTimeout(this.#timer);
    this.#become('connecting');
    this.#await(OPENING, 'no welcome');
    if (this.#blocked >= BLOCKED && !this.#events) this.#stream();
    try {
      const token = this.#token ?? await this.#options.token?.();
      if (run !== this.#run) return;
      this.#token = token;
      const { WebSocket = globalThis.WebSocket } = this.#options;
      const ws = this.#ws = new WebSocket(this.#url.href, ['c100k.v1', ...token ? ['c100k.token.' + token] : []]);
      ws.onmessage = e => { if (run === this.#run) this.#hear(e.data); };
      ws.onclose = e => { if (run === this.#run) this.#lost(e.code, e.reason); };
      ws.onerror = ignore; // the close comes behind it
    } catch (e) {
      if (run === this.#run) this.#lost(0, e.message);
    }
  }

  // The node has ms to say something.
  #await(ms, why) {
    clearTimeout(this.#pulse);
    this.#pulse = setTimeout(() => this.#lost(0, why), ms);
  }

  #hear(text) {
    let m;
    try { m = JSON.parse(text); } catch { return this.#lost(1002, 'no JSON'); }
    if (this.#opened) this.#rest();
    this.#obey(m);
  }

  #rest() {
    clearTimeout(this.#pulse);
    this.#pulse = setTimeout(() => this.#probe(ANSWER), QUIET);
  }

  // Asks for a sign of life.
  #probe(ms) {
    this.#send({ type: 'ping' });
    this.#await(ms, 'no answer');
  }

  #lost(code, reason) {
    const welcomed = this.#opened;
    if (code === 4401 || code === 4403 || !welcomed) this.#token = undefined; // a refused handshake does not say why
    if (welcomed && now() - welcomed >= STEADY) this.#tries = 0;
    this.#blocked = welcomed ? 0 : this.#blocked + 1;
    this.#drop('lost');
    this.#pause(code, reason);
  }

  #pause(code, reason) {
    const delay = draw(Math.min(this.#events?.open ? RARELY : LONGEST, FIRST * 2 ** this.#tries++));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#attempt(), delay);
    this.#become('waiting', { delay, code, reason });
  }

  // Ends the WebSocket, whatever it is doing.
  #drop(why) {
    this.#run++;
    clearTimeout(this.#pulse);
    this.#ws?.close();
    if (this.#opened) this.#deafen(); // else a stream of events may be there, which has the topics
    this.#ws = this.#opened = undefined;
    for (const [, failed] of this.#asked.values()) failed(new Failure(why, 'the connection ended before the answer'));
    this.#asked.clear();
  }

  // What brought the topics has ended.
  #deafen() {
    for (const topic of this.#topics.values()) topic.live = false;
  }

  #become(state, detail) {
    if (this.#events?.open && state !== 'closed') {
      if (this.state === 'open') return; // events come while WebSockets fail
      state = 'open';
    }
    if (state === 'connecting' && state === this.state) return;
    this.transport = state === 'open' ? this.#opened ? 'websocket' : 'sse' : '';
    if (state !== 'open') this.id = '';
    this.state = state;
    this.#tell('state', { state, transport: this.transport, ...detail });
  }

  #tell(event, value) { call(this.#hearers.get(event), value); }

  #signals() {
    return [[globalThis, 'online'], [globalThis, 'offline'], [globalThis.document, 'visibilitychange']].filter(([target]) => target?.addEventListener);
  }

  #signal = () => {
    if (globalThis.document?.hidden) return;
    if (this.#opened) this.#probe(PROMPT);
    else if (this.#ws === undefined && globalThis.navigator?.onLine !== false) this.#attempt();
  };

  // ---- commands

  #send(command) { this.#ws.send(JSON.stringify(command)); }

  // Sends a command on this connection.
  #command(command, done, failed) {
    const id = ++this.#last;
    this.#asked.set(id, [done, failed]);
    this.#send({ ...command, id });
  }

  // Sends a command that may wait for a connection.
  #ask(command) {
    return new Promise((done, failed) => {
      const entry = [command, m => { clearTimeout(timer); done(m); }, e => { clearTimeout(timer); failed(e); }];
      const timer = setTimeout(() => {
        this.#queue = this.#queue.filter(one => one !== entry);
        failed(new Failure('timeout', 'no answer'));
      }, PATIENCE);
      if (this.#asked.size + this.#queue.length >= WAITING) entry[2](new Failure('overloaded', WAITING + ' wait already'));
      else if (this.state === 'closed') entry[2](new Failure('closed'));
      else if (this.#opened) this.#command(...entry);
      else if (this.#events?.open) this.#post(...entry);
      else this.#queue.push(entry);
    });
  }

  #begin(topic) {
    if (!this.#opened) return this.#streamAnew();
    const wish = topic.wish();
    this.#unknown(topic, wish);
    this.#command({ type: 'subscribe', topics: [wish] }, m => this.#accepted(topic, m.offsets), e => {
      if (e.code === 'lost' || e.code === 'closed' || this.#topics.get(topic.name) !== topic) return;
      if (e.code === 'overloaded' || e.code === 'unavailable') {
        const run = this.#run;
        setTimeout(() => { if (run === this.#run && !topic.live) this.#begin(topic); }, draw(LONGEST));
      } else if (topic.position && e.code === 'forbidden') {
        topic.position = undefined; // it may have the topic and not what is kept of it
        this.#begin(topic);
      } else {
        this.#refused(topic, e);
      }
    });
  }

  // Of a topic that goes on without a position nobody knows what was missed.
  #unknown(topic, wish) {
    if (topic.begun && wish === topic.name) this.#reset({ topic: wish, reason: 'unknown' });
  }

  #accepted(topic, offsets) {
    topic.live = topic.begun = true;
    topic.position = offsets?.[topic.name];
    topic.done();
  }

  // A topic or a watch is not allowed, and is given up.
  #refused(want, e) {
    this.#topics.delete(want.name);
    this.#watches.delete(want);
    want.failed?.(e);
    this.#tell('error', Object.assign(e, { topic: want.name ?? want.topic }));
  }

  // ---- what the node says

  #obey(m) {
    const topic = this.#topics.get(m.topic), asked = this.#asked.get(m.id);
    this.#asked.delete(m.id);
    switch (m.type) {
      case 'welcome': return this.#welcome(m);
      case 'ack': case 'pong': return asked?.[0](m);
      case 'error': {
        const e = new Failure(m.code, m.message);
        return asked ? asked[1](e) : this.#tell('error', e);
      }
      case 'message': return this.#deliver(topic, m);
      case 'resumed':
        if (topic) {
          topic.left = topic.missed = m.messages;
          this.#tell('resumed', m);
          this.#caughtUp(topic);
        }
        return;
      case 'reset': return this.#reset(m);
      case 'expiring': return this.#refresh();
      case 'gap': return this.#tell(m.type, m);
      case 'presence':
        if (asked) return asked[0](m);
        for (const watch of [...this.#watches]) if (watch.topic === m.topic) call([watch.hearer], m);
    }
  }

  #welcome(m) {
    this.#endEvents();
    this.#opened = now();
    this.id = m.conn;
    this.#blocked = 0;
    this.#rest();
    this.#become('open');
    for (const name in m.offsets) {
      // The token has it subscribed already: what was missed is had by subscribing anew.
      if (this.#topics.has(name)) this.#send({ type: 'unsubscribe', topics: [name] });
    }
    for (const topic of [...this.#topics.values()]) this.#begin(topic);
    for (const watch of this.#watches) this.#watch(watch);
    for (const entry of this.#queue.splice(0)) this.#command(...entry);
  }

  #deliver(topic, m) {
    const data = m.data_base64 === undefined ? m.data : bytesOf(m.data_base64);
    const message = { topic: m.topic, data, offset: m.offset, from: m.from };
    if (topic && !topic.live) return; // of a subscription that the token made: it is about to begin anew
    if (topic && m.offset) topic.position = m.offset;
    call(topic?.readers, message);
    this.#tell('message', message);
    if (topic?.left > 0) {
      topic.left--;
      this.#caughtUp(topic);
    }
  }

  #caughtUp(topic) {
    if (topic.left) return;
    topic.left = -1;
    this.#tell('caughtup', { topic: topic.name, messages: topic.missed });
  }

  #reset(m) {
    const topic = this.#topics.get(m.topic);
    if (topic) topic.position = m.offset;
    this.#tell('reset', m);
  }

  async #refresh() {
    try {
      const run = this.#run, token = await this.#options.token?.();
      if (!token || run !== this.#run) return; // the node ends the connection, and a new one asks again
      this.#token = token;
      this.#command({ type: 'refresh', token }, ignore, e => this.#tell('error', e));
    } catch (e) {
      this.#tell('error', e);
    }
  }

  // ---- events, where WebSockets do not come through

  #path(path) {
    const url = new URL(path, this.#url);
    url.protocol = url.protocol.replace('ws', 'http');
    return url;
  }

  async #fetch(path, options) {
    const headers = { ...options.headers, ...this.#token ? { Authorization: 'Bearer ' + this.#token } : {} };
    const response = await fetch(this.#path(path), { ...options, headers, cache: 'no-store' });
    if (response.ok) return response;
    const text = await response.text();
    let problem = {};
    try { problem = JSON.parse(text); } catch { /* a sentence */ }
    throw Object.assign(new Failure(problem.code ?? 'refused', problem.detail ?? text.trim()), { status: response.status });
  }

  // The topics have changed.
  #streamAnew() {
    if (!this.#events || this.#changed) return;
    this.#changed = setTimeout(() => {
      this.#changed = undefined;
      if (!this.#opened && this.#events) this.#stream();
    });
  }

  #endEvents() {
    clearTimeout(this.#changed);
    if (this.#events) this.#deafen();
    this.#events?.abort();
    this.#events = this.#changed = undefined;
  }

  async #stream() {
    const open = this.#events?.open, topics = [...this.#topics.values()], wants = [...topics, ...this.#watches];
    this.#endEvents();
    const events = this.#events = Object.assign(new AbortController(), { open });
    let timer, began, why;
    const within = ms => { clearTimeout(timer); timer = setTimeout(() => events.abort(), ms); };
    try {
      within(OPENING);
      const token = this.#token ?? await this.#options.token?.();
      if (events !== this.#events) return;
      this.#token = token;
      const wishes = wants.map(wishOf);
      const response = await this.#fetch(streamOf(wishes), { signal: events.signal });
      const reader = response.body.getReader(), decoder = new TextDecoder();
      for (let text = '', part; !(part = await reader.read()).done;) {
        within(SILENT);
        const blocks = (text + decoder.decode(part.value, { stream: true })).split('\n\n');
        text = blocks.pop();
        for (const block of blocks) {
          const [, event, data] = /^(?:event: (.*)\n)?data: (.*)$/m.exec(block) ?? [];
          if (!data || events !== this.#events) continue;
          if (event) { // expired, revoked
            this.#token = undefined;
            continue;
          }
          const m = JSON.parse(data);
          if (m.type === 'welcome') {
            began = now();
            this.id = m.conn;
            topics.forEach((topic, i) => {
              this.#unknown(topic, wishes[i]);
              this.#accepted(topic, m.offsets);
            });
            this.#streaming(events);
          } else {
            this.#obey(m);
          }
        }
      }
    } catch (e) {
      why = e;
      if (e.status === 401) this.#token = undefined;
      clearTimeout(timer);
      if (events === this.#events && await this.#findRefused(wants, e) && events === this.#events) return this.#stream();
    }
    clearTimeout(timer);
    if (events !== this.#events) return;
    if (began && now() - began >= STEADY) this.#tries = 0;
    this.#endEvents();
    if (this.#ws) this.#become('connecting');
    else this.#pause(0, why?.message ?? 'the events ended');
  }

  #streaming(events) {
    events.open = true;
    this.#become('open');
    for (const entry of this.#queue.splice(0)) this.#post(...entry);
  }

  // Where one of them was refused, and with it all, each is tried alone. Tells whether there is
  // another wish now.
  async #findRefused(wants, e) {
    let changed = false;
    for (const want of e.status === 400 || e.status === 403 ? wants : []) {
      const one = new AbortController();
      const timer = setTimeout(() => one.abort(), OPENING);
      try {
        if (wants.length === 1) throw e;
        await this.#fetch(streamOf([wishOf(want)]), { signal: one.signal });
      } catch (e) {
        if (e.status === 403 && want.position) want.position = undefined; // not what is kept of it
        else if (e.status === 400 || e.status === 403) this.#refused(want, e);
        else continue;
        changed = true;
      } finally {
        clearTimeout(timer);
        one.abort();
      }
    }
    return changed;
  }

  async #post({ type, ...body }, done, failed) {
    try {
      const options = { method: 'POST', body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' }, signal: AbortSignal.timeout(PATIENCE) };
      const page = `v1/topics/${encodeURIComponent(body.topic)}/presence` + (body.after ? '?after=' + encodeURIComponent(body.after) : '');
      done(await (await (type === 'publish' ? this.#fetch(this.#options.api ?? 'v1/publish', options) : this.#fetch(page, { signal: options.signal }))).json());
    } catch (e) {
      failed(e instanceof Failure ? e : new Failure('lost', e.message));
    }
  }
}

export const connect = (url, options) => new Client(url, options).connect();
