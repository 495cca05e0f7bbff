// What runs inside the server, each as one step: nobody sees a half of it.

package redisstreams

// joinScript takes a process in.
//
//	KEYS  meta, live, index, lives
//	ARGV  the epoch to begin if one must be begun; the epoch and the last number that the process
//	      knows, or "" and 0; lifeJump, livesMax
//
// It returns epoch, life, last number, last number that the live stream does not have, version of
// the server, and whether it has an append-only file.
const joinScript = `
local function text(n) return string.format('%.0f', n) end
local server = redis.call('INFO', 'server')
local run = string.match(server, 'run_id:(%w+)')
local version = string.match(server, 'redis_version:([%d.]+)')
local file = string.match(redis.call('INFO', 'persistence'), 'aof_enabled:(%d)')
local known = tonumber(ARGV[3])
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'run', 'seq', 'tail')
local epoch, tail = meta[1], meta[4]

local function begin(base)
  epoch = ARGV[1]
  redis.call('UNLINK', KEYS[3], KEYS[4])
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'life', epoch .. run, 'run', run, 'seq', text(base),
    'base', text(base), 'gone', text(base))
  -- All who read the live stream learn it.
  local t = redis.call('TIME')
  local n = text(redis.call('HINCRBY', KEYS[1], 'seq', 1))
  redis.call('XADD', KEYS[2], n .. '-' .. text(t[1] * 1000 + math.floor(t[2] / 1000)), 'e', epoch)
end

if not epoch then
  -- Numbers begin with the time, in microseconds: those of an earlier epoch are smaller as a rule.
  local t = redis.call('TIME')
  local base = math.max(t[1] * 1000000 + t[2], known + tonumber(ARGV[4]))
  redis.call('UNLINK', KEYS[2])
  tail = text(base)
  redis.call('HSET', KEYS[1], 'tail', tail, 'half', tail, 'bytes', 0, 'count', 0)
  begin(base)
elseif meta[2] ~= run then
  -- What the server may have given and lost lies between these two.
  local to = text(tonumber(meta[3]) + tonumber(ARGV[4]))
  redis.call('ZADD', KEYS[4], to, meta[3])
  redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -1 - tonumber(ARGV[5]))
  redis.call('HSET', KEYS[1], 'run', run, 'life', epoch .. run, 'seq', to)
end
if ARGV[2] == epoch then
  local gap = redis.call('ZRANGEBYSCORE', KEYS[4], ARGV[3], '+inf', 'LIMIT', 0, 1)[1]
  if gap and tonumber(gap) < known then
    -- The process has messages of this epoch that the server has not.
    begin(tonumber(redis.call('HGET', KEYS[1], 'seq')))
  end
end
local now = redis.call('HMGET', KEYS[1], 'life', 'seq')
return {epoch, now[1], now[2], tail, version, file}
`

// appendScript stores a message, or a mark that what is kept of the topic is forgotten.
//
//	KEYS  meta, live, index, stream of the topic, idempotency key if there is one
//	ARGV  life, topic, record, "1" for a mark, and of the rule: count, age in milliseconds, bytes;
//	      keyWindow in milliseconds, liveBytesMax, liveMessagesMax, topicsMax, trimMax,
//	      entryOverheadBytes
//
// It returns the number of the message; "life" if the life is over, "repeated NUMBER" if the key is
// there.
const appendScript = `
local function text(n) return string.format('%.0f', n) end
local meta = redis.call('HMGET', KEYS[1], 'life', 'epoch', 'seq', 'gone', 'base', 'bytes', 'count', 'half')
if meta[1] ~= ARGV[1] then return 'life' end
if KEYS[5] then
  local had = redis.call('GET', KEYS[5])
  if had then return 'repeated ' .. had end
end
local topic, record, count, age, bytes = ARGV[2], ARGV[3], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local overhead = tonumber(ARGV[13])
local t = redis.call('TIME')
local ms = t[1] * 1000 + math.floor(t[2] / 1000)
local n = text(redis.call('HINCRBY', KEYS[1], 'seq', 1))
local id = n .. '-' .. text(ms)

if ARGV[4] == '1' then
  redis.call('UNLINK', KEYS[4])
else
  local before = redis.call('ZSCORE', KEYS[3], topic)
  if not before then
    before = meta[4]
    if meta[3] ~= meta[5] and redis.call('EXISTS', KEYS[3]) == 0 then
      before = meta[3] -- the index was evicted, and all it knew with it
      redis.call('HSET', KEYS[1], 'gone', before)
    end
  else
    before = text(tonumber(before))
  end
  local total = 0 -- bytes of all messages that the stream has had
  if bytes > 0 then
    local last = redis.call('XREVRANGE', KEYS[4], '+', '-', 'COUNT', 1)[1]
    total = tonumber(last and last[2][6] or 0) + #record + overhead
    redis.call('XADD', KEYS[4], 'MAXLEN', count, id, 'b', before, 'r', record, 's', text(total))
  else
    redis.call('XADD', KEYS[4], 'MAXLEN', count, id, 'b', before, 'r', record)
  end
  redis.call('PEXPIRE', KEYS[4], age)
  for _ = 1, tonumber(ARGV[12]) do
    local old = redis.call('XRANGE', KEYS[4], '-', '+', 'COUNT', 1)[1]
    if not old then break end
    local away = tonumber(string.match(old[1], '-(%d+)$')) < ms - age
    local behind = total - tonumber(old[2][6] or 0) -- bytes behind it
    away = away or bytes > 0 and behind + #old[2][4] + overhead > bytes
    if not away then break end
    redis.call('XDEL', KEYS[4], old[1])
  end
  redis.call('ZADD', KEYS[3], n, topic)
  if redis.call('ZCARD', KEYS[3]) > tonumber(ARGV[11]) then
    redis.call('HSET', KEYS[1], 'gone', text(tonumber(redis.call('ZPOPMIN', KEYS[3])[2])))
  end
end

redis.call('XADD', KEYS[2], id, 'e', meta[2], 't', topic, 'r', record)
local live, messages = tonumber(meta[6]) + #record + #topic + overhead, tonumber(meta[7]) + 1
if live > tonumber(ARGV[9]) or messages > tonumber(ARGV[10]) then
  redis.call('XTRIM', KEYS[2], 'MINID', text(tonumber(meta[8]) + 1))
  redis.call('HSET', KEYS[1], 'tail', meta[8], 'half', n)
  live, messages = 0, 0
end
redis.call('HSET', KEYS[1], 'bytes', text(live), 'count', text(messages))
if KEYS[5] then
  redis.call('SET', KEYS[5], n, 'PX', ARGV[8])
end
return n
`
