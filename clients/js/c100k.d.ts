export as namespace c100k;

/** Where a subscription begins the first time: behind a position, with the last messages, or some time ago. */
export type From = { after: string } | { last: number } | { rewind: string };

export interface Message<T = unknown> {
  topic: string;
  /** The value that was published; bytes are a Uint8Array. */
  data: T;
  /** The position of the message, where the topic has a history. */
  offset?: string;
  /** The user who published it, where the topic has presence. */
  from?: string;
}

export interface Member {
  sub: string;
  info?: unknown;
  /** Connections of the user. */
  conns?: number;
}

/** Who is in a topic: users, and connections without a token, which are only counted. */
export interface Presence {
  topic: string;
  count: number;
  members: Member[];
  /** `after` of the next page, if there is one. */
  next?: string;
}

/** What changed since the message before. */
export interface PresenceChange {
  topic: string;
  count: number;
  joined?: Member[];
  left?: Member[];
}

export interface Subscription {
  readonly topic: string;
  /** Settles when the node has accepted or refused the topic. Waits as long as there is no connection. */
  readonly ready: Promise<void>;
  /** The position of the last message, where the topic has a history. */
  readonly position: string | undefined;
  unsubscribe(): void;
}

export type State = 'connecting' | 'open' | 'waiting' | 'closed';
export type Transport = '' | 'websocket' | 'sse';

export interface StateChange {
  state: State;
  transport: Transport;
  /** With `waiting`: milliseconds until the next attempt. */
  delay?: number;
  /** With `waiting`: the close code, or 0. */
  code?: number;
  /** With `waiting`: why the connection ended. */
  reason?: string;
}

export interface Reset {
  topic: string;
  reason: 'expired' | 'epoch' | 'limit' | 'unknown';
  offset?: string;
}

export interface Events {
  state: StateChange;
  message: Message;
  /** A subscription goes on: so many messages were missed, and come now. */
  resumed: { topic: string; messages: number };
  /** They have come. */
  caughtup: { topic: string; messages: number };
  /** What was missed cannot be brought: the subscription goes on with what is published now. */
  reset: Reset;
  /** The node dropped messages, because this client was slow. */
  gap: { topic: string; missed: number };
  /** A subscription or a watch that was refused, or a token that could not be renewed. */
  error: Error & { code?: string; topic?: string };
}

export interface Options {
  /** Gives the token. It is asked for one before the first connection, and again when the last one is not accepted any more or is about to expire. */
  token?: () => string | undefined | Promise<string | undefined>;
  /** Where publishes are posted while no WebSocket comes through: by default /v1/publish of the node, which takes the token where it has an API key. */
  api?: string;
  /** In place of the global one: in Node before 22, that of the package ws. */
  WebSocket?: new (url: string, protocols?: string[]) => unknown;
}

/** A refusal: `code` is the node's, or `lost`, `timeout`, `overloaded` or `closed`. */
export class Failure extends Error {
  constructor(code: string, message?: string);
  readonly code: string;
}

export class Client {
  /** Without an address it is /ws of the page's host. */
  constructor(url?: string | URL, options?: Options);
  readonly state: State;
  readonly transport: Transport;
  /** The id of the connection, as the API of the node knows it; empty without one. */
  readonly id: string;
  /** Connects, and stays connected until close. */
  connect(): this;
  close(): void;
  /** Calls a function for each event of a kind; returns what ends that. */
  on<K extends keyof Events>(event: K, hearer: (value: Events[K]) => void): () => void;
  /** A second subscription to a topic shares the first one, and begins where that is. */
  subscribe<T = unknown>(topic: string, reader?: (message: Message<T>) => void, from?: From): Subscription;
  /** Settles with the number of subscribers; fails with a Failure. */
  publish(topic: string, data: unknown): Promise<{ matched: number }>;
  /** A page of who is in a topic. */
  presence(topic: string, after?: string): Promise<Presence>;
  /** Calls a function with the first page of members on each connection, and then with changes, at most one a second; returns what ends that. A watch that is refused ends, and `error` says why. */
  watch(topic: string, hearer: (value: Presence | PresenceChange) => void): () => void;
}

/** A client that connects. */
export function connect(url?: string | URL, options?: Options): Client;
