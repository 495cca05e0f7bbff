// Compiled by tsc, and never run: what the types accept, and what they refuse.
import { Client, Failure, connect, type Message, type StateChange } from 'c100k';

const client: Client = connect('wss://push.example.com/ws', { token: async () => 'a.b.c' });
const other = new Client().connect();

const stop: () => void = client.on('state', (s: StateChange) => console.log(s.state, s.transport, s.delay?.toFixed(), s.reason));
client.on('resumed', r => console.log(r.messages + 1));
client.on('caughtup', r => console.log(r.topic.length));
client.on('reset', r => console.log(r.reason === 'expired', r.offset));
client.on('gap', g => console.log(g.missed + 1));
client.on('error', e => console.log(e.code, e.topic, e.message));
client.on('message', (m: Message) => console.log(m.topic, m.data, m.offset));

const news = client.subscribe<{ text: string }>('news', m => console.log(m.data.text), { last: 10 });
client.subscribe('a', undefined, { after: 'e1.41' });
client.subscribe('b', () => {}, { rewind: '30s' });
await news.ready;
const where: string | undefined = news.position;
news.unsubscribe();

const { matched } = await client.publish('news', { text: 'hello', where, matched: 1 }).catch((e: Failure) => ({ matched: e.code.length }));
stop();
console.log(matched.toFixed(), other.state, other.transport, other.id);
other.close();

const { count, members, next } = await client.presence('room.a', 'ann');
console.log(count + 1, members[0]?.sub, next);
client.watch('room.a', p => console.log('members' in p ? p.members.length : p.joined?.length))();

// @ts-expect-error there is no such event
client.on('opened', () => {});
// @ts-expect-error a beginning is one of three
client.subscribe('a', () => {}, { last: 'ten' });
// @ts-expect-error the state is read only
client.state = 'open';
// @ts-expect-error a token is a text
connect('/ws', { token: () => 17 });
