/**
 * What Redis does in one step, in Lua: the only places where counters of all nodes change.
 *
 * A counter (of one window) is a hash: `c:NODE` is the node's claim, the most it may have used and reserved; `u:NODE` and
 * `b:NODE` are what it has used, and used and reserved, as it said last; `x:MS` is what was used before, and counts until
 * then; `sum`, `used` and `busy` are the totals of all. A limit holds as no claim is raised where the sum would be above it.
 * All that a node says is said whole, never as a difference: what is lost or done twice does no harm.
 */

/**
 * KEYS: epoch, nodes, then counters. ARGV: node, epoch, number of the message, then seven for each counter: the claim it
 * wants, the least that helps, busy, used, max, ms to keep it (0: for good), ms of silence after which a node's part is
 * dropped (0: never).
 * @returns `ok`, then four for each counter: the claim, and the sums of claims, of used and of busy; else another word.
 */
export const exchangeScript = `
local epoch = redis.call('HMGET', KEYS[1], 'id', 'state', 'heard', 'stalled')
if epoch[1] ~= ARGV[2] or epoch[2] ~= 'open' then return {'closed'} end
local node, seq = ARGV[1], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local seen = redis.call('HGET', KEYS[2], node)
if seen and tonumber(string.match(seen, '^%d+')) >= seq then return {'late'} end
redis.call('HSET', KEYS[2], node, string.format('%.0f %.0f', seq, now))
local function text(number) return string.format('%.0f', number) end
-- When nobody was heard for a while it was Redis that was away: the others get time to be heard again.
local stalled = tonumber(epoch[4] or 0)
if now - tonumber(epoch[3] or now) > 3000 then
  stalled = now
  redis.call('HSET', KEYS[1], 'stalled', text(now))
end
redis.call('HSET', KEYS[1], 'heard', text(now))

local function dropSilent(key, reap, total)
  local all = redis.call('HGETALL', key)
  local parts = {}
  for i = 1, #all, 2 do
    local kind, id = string.match(all[i], '^(%l):(.*)$')
    if kind then
      parts[id] = parts[id] or {}
      parts[id][kind] = tonumber(all[i + 1])
    end
  end
  for id, part in pairs(parts) do
    local gone
    if part.x then gone = tonumber(id) <= now
    elseif id ~= node then
      local at = redis.call('HGET', KEYS[2], id)
      gone = not at or now - tonumber(string.match(at, ' (%d+)')) > reap
    end
    if gone then
      total.sum = total.sum - (part.x or part.c or 0)
      total.used = total.used - (part.x or part.u or 0)
      total.busy = total.busy - (part.x or part.b or 0)
      redis.call('HDEL', key, 'c:' .. id, 'u:' .. id, 'b:' .. id, 'x:' .. id)
    end
  end
end

local reply = {'ok'}
for i = 3, #KEYS do
  local key, a = KEYS[i], 4 + (i - 3) * 7
  local want, need, busy, used = tonumber(ARGV[a]), tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3])
  local max, keep, reap = tonumber(ARGV[a + 4]), tonumber(ARGV[a + 5]), tonumber(ARGV[a + 6])
  local had = redis.call('HMGET', key, 'sum', 'used', 'busy', 'c:' .. node, 'u:' .. node, 'b:' .. node, 'dropped')
  for j = 1, 7 do had[j] = tonumber(had[j] or 0) end
  local total = {sum = had[1], used = had[2], busy = had[3]}
  local old = had[4]
  -- Parts of what slides end by themselves.
  local due = now - had[7] >= 1000 and want > max - (total.sum - old) or reap > 30000 and now - had[7] >= reap / 60
  if reap > 0 and due and now - stalled > 5000 then
    dropSilent(key, reap, total)
    redis.call('HSET', key, 'dropped', text(now))
  end
  local free = max - (total.sum - old)
  local claim = old
  if want <= old or want <= free then claim = want
  elseif need <= free then claim = math.max(old, need + math.floor((free - need) / 2)) end
  claim = math.max(claim, busy)
  total.sum = total.sum - old + claim
  total.used = total.used - had[5] + used
  total.busy = total.busy - had[6] + busy
  if total.sum == 0 and total.used == 0 then redis.call('DEL', key)
  else
    redis.call('HSET', key, 'sum', text(total.sum), 'used', text(total.used), 'busy', text(total.busy),
      'c:' .. node, text(claim), 'u:' .. node, text(used), 'b:' .. node, text(busy))
    if claim == 0 and used == 0 then redis.call('HDEL', key, 'c:' .. node, 'u:' .. node, 'b:' .. node) end
    if keep > 0 then redis.call('PEXPIRE', key, keep) end
  end
  reply[#reply + 1] = claim
  reply[#reply + 1] = total.sum
  reply[#reply + 1] = total.used
  reply[#reply + 1] = total.busy
end
return reply
`;

/**
 * Presence, and the epoch: a Redis without one has lost everything, or is new.
 *
 * KEYS: epoch, nodes. ARGV: node, number of the message, name of an epoch to begin where there is none, the epoch to be
 * replaced by it (or ''), the epoch that the node is ready for (or ''), ms of silence after which a node is gone, 1 when the
 * node leaves.
 * @returns id, state and maker of the epoch, how long ago it changed (ms), live nodes, those of them that are ready. Of an
 * open epoch nobody asks who is ready, and nodes are counted every two seconds, and when one comes or goes: counting takes
 * as long as there are nodes.
 */
export const presenceScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local seen = redis.call('HGET', KEYS[2], ARGV[1])
local seq = math.max(tonumber(ARGV[2]), seen and tonumber(string.match(seen, '^%d+')) or 0)
local leaves = ARGV[7] == '1' and ' left' or ''
redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f %.0f', seq, now) .. leaves)
local id = redis.call('HGET', KEYS[1], 'id')
if not id or id == ARGV[4] then
  local before = id or ''
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'id', ARGV[3], 'state', 'gathering', 'by', ARGV[1], 'at', string.format('%.0f', now), 'before', before)
  id = ARGV[3]
end
if id == ARGV[5] then redis.call('HSET', KEYS[1], 'ready:' .. ARGV[1], '1') end
if not seen or string.match(seen, 'left$') or leaves ~= '' then redis.call('HDEL', KEYS[1], 'counted') end
local epoch = redis.call('HMGET', KEYS[1], 'state', 'by', 'at', 'live', 'counted')
if epoch[1] == 'open' and epoch[5] and now - tonumber(epoch[5]) < 2000 then
  return {id, epoch[1], epoch[2], now - tonumber(epoch[3]), tonumber(epoch[4]), 0}
end
local live, ready = 0, 0
local nodes = redis.call('HGETALL', KEYS[2])
for i = 1, #nodes, 2 do
  local silent = now - tonumber(string.match(nodes[i + 1], ' (%d+)'))
  local left = string.match(nodes[i + 1], 'left$')
  if silent <= tonumber(ARGV[6]) and not left then
    live = live + 1
    if redis.call('HEXISTS', KEYS[1], 'ready:' .. nodes[i]) == 1 then ready = ready + 1 end
  elseif silent > 31 * 86400000 then redis.call('HDEL', KEYS[2], nodes[i]) end
end
redis.call('HSET', KEYS[1], 'live', live, 'counted', string.format('%.0f', now))
return {id, epoch[1], epoch[2], now - tonumber(epoch[3]), live, ready}
`;

/** KEYS: epoch. ARGV: epoch, its state before and after. @returns 1 when it was changed. */
export const turnScript = `
local epoch = redis.call('HMGET', KEYS[1], 'id', 'state')
if epoch[1] ~= ARGV[1] or epoch[2] ~= ARGV[2] then return 0 end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'state', ARGV[3], 'at', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)))
return 1
`;

/**
 * What was used before an epoch. KEYS: counters. ARGV, three for each: amount, when it stops to count (ms of Redis' clock;
 * 0: with the window), ms to keep it (0: for good).
 */
export const foundScript = `
for i = 1, #KEYS do
  local amount, till, keep = ARGV[i * 3 - 2], ARGV[i * 3 - 1], tonumber(ARGV[i * 3])
  for _, total in ipairs({'sum', 'used', 'busy'}) do redis.call('HINCRBY', KEYS[i], total, amount) end
  redis.call('HINCRBY', KEYS[i], till == '0' and 'before' or 'x:' .. till, amount)
  if keep > 0 then redis.call('PEXPIRE', KEYS[i], keep) end
end
return 1
`;

/**
 * What was used before a limit was made: of a window that slides in place of what was found so far, else if it is more.
 * KEYS: epoch, counter. ARGV: epoch, amount, ms to keep it (0: for good), 1 when the window slides; then two for each part
 * of it: when it stops to count, amount.
 */
export const lateScript = `
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return 0 end
local key, amount, keep, had = KEYS[2], tonumber(ARGV[2]), tonumber(ARGV[3]), 0
local function text(number) return string.format('%.0f', number) end
if ARGV[4] == '1' then
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 'x:' then
      had = had + tonumber(all[i + 1])
      redis.call('HDEL', key, all[i])
    end
  end
  for i = 5, #ARGV, 2 do redis.call('HINCRBY', key, 'x:' .. ARGV[i], ARGV[i + 1]) end
else
  had = tonumber(redis.call('HGET', key, 'before') or 0)
  if amount <= had then return 0 end
  redis.call('HSET', key, 'before', text(amount))
end
if amount ~= had then
  for _, total in ipairs({'sum', 'used', 'busy'}) do redis.call('HINCRBY', key, total, text(amount - had)) end
end
if keep > 0 then redis.call('PEXPIRE', key, keep) end
return 1
`;

/**
 * Has a node's part count on without it: for those who do not come back to it. KEYS: epoch, counters. ARGV: node, epoch, then
 * for each counter the length of its window in ms where that slides, else 0.
 */
export const leaveScript = `
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[2] then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(number) return string.format('%.0f', number) end
for i = 2, #KEYS do
  local key, node, length = KEYS[i], ARGV[1], tonumber(ARGV[i + 1])
  local part = redis.call('HMGET', key, 'c:' .. node, 'u:' .. node, 'b:' .. node)
  if part[1] then
    local used = tonumber(part[2])
    redis.call('HINCRBY', key, 'sum', text(used - tonumber(part[1])))
    redis.call('HINCRBY', key, 'busy', text(used - tonumber(part[3])))
    redis.call('HDEL', key, 'c:' .. node, 'u:' .. node, 'b:' .. node)
    redis.call('HINCRBY', key, length > 0 and 'x:' .. text(now + length) or 'left', text(used))
  end
end
return 1
`;
