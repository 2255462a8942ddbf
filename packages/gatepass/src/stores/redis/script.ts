import { sha1Hex } from '../../crypto/sha1.ts'

/**
 * What the engine does in one step. Every call reads and writes one key, so that it runs wherever a cluster keeps that key;
 * only `insert` takes a second one, and only where all keys are in one place.
 *
 * One script for all of it, so that one load makes all of it known. Scripts rather than functions: a script is named by its
 * content, so that two versions of an application run side by side, and no right to change libraries is needed.
 *
 * A record is `version tag expiresAt seenAt createdAt coveredUntil subjectBytes subjectChars aboutChars\n` and then subject,
 * notes and data. Numbers are compared as numbers and kept as the text they came in. The tag names the write: a client that
 * repeats one whose reply was lost (Sentinel's does) finds its own and is told the same as before.
 *
 * An entry of a subject's index is `state coveredUntil createdAt` under the session's id. States: p, the record is about to
 * be written; c, it is there; x, it is over the limit and about to be removed.
 */
export const script = `
local op, now = ARGV[1], tonumber(ARGV[2])
local HOUR = 3600000

local function read(key)
  local value = redis.call('GET', key)
  if not value then return nil end
  local _, stop, version, tag, expires, seen, created, covered, bytes =
    string.find(value, '^(%d+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) ')
  if not stop then error('GATEPASS_FORMAT') end
  local record = { version = version, tag = tag, expires = expires, seen = seen, created = created, covered = covered,
    bytes = bytes, rest = string.sub(value, stop + 1), live = tonumber(expires) > now }
  if bytes ~= '-' then
    local text = string.find(record.rest, '\\n', 1, true) + 1
    record.subject = string.sub(record.rest, text, text + tonumber(bytes) - 1)
  end
  return record
end

local function write(key, r)
  local head = { r.version, r.tag, r.expires, r.seen, r.created, r.covered, r.bytes, r.rest }
  local ttl = math.max(1, math.ceil(tonumber(r.expires) - now))
  redis.call('SET', key, table.concat(head, ' '), 'PX', string.format('%.0f', ttl))
end

local function later(a, b)
  if tonumber(a) > tonumber(b) then return a end
  return b
end

local function covers(covered, expires)
  return tonumber(covered) >= tonumber(expires) + HOUR
end

-- An entry outlives its record by a day, and a clock that is wrong by an hour must not remove one too early.
local function enter(key, id, state, covered, created)
  local all = redis.call('HGETALL', key)
  for n = 1, #all, 2 do
    if tonumber(string.match(all[n + 1], '^%a (%S+)')) + HOUR < now then redis.call('HDEL', key, all[n]) end
  end
  local known = redis.call('HGET', key, id)
  if known and string.sub(known, 1, 1) == 'x' then state = 'x' end
  redis.call('HSET', key, id, state .. ' ' .. covered .. ' ' .. created)
  local ttl = math.ceil(tonumber(covered) - now) + HOUR
  if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, string.format('%.0f', ttl)) end
end

local function entriesBeyond(key, limit)
  if limit > 0 and redis.call('HLEN', key) > limit then return redis.call('HGETALL', key) end
  return 'done'
end

-- id, and the value it had (or '' for any), in pairs: what changed since stays
local function forget()
  for n = 3, #ARGV, 2 do
    local entry = redis.call('HGET', KEYS[1], ARGV[n])
    if entry == ARGV[n + 1] or ARGV[n + 1] == '' then redis.call('HDEL', KEYS[1], ARGV[n]) end
  end
  return 'done'
end

if op == 'insert' then
  local tag, limit = ARGV[4], tonumber(ARGV[8] or '0')
  local known = read(KEYS[1])
  local repeated = known and known.tag == tag
  if known and known.live and not repeated then return 'duplicate' end
  if KEYS[2] then enter(KEYS[2], ARGV[5], 'c', ARGV[6], ARGV[7]) end
  if not repeated then redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[9]) end
  if KEYS[2] then return entriesBeyond(KEYS[2], limit) end
  return 'done'
end

if op == 'replace' then
  local expected, tag, covered, bytes, rest = ARGV[3], ARGV[4], ARGV[7], ARGV[8], ARGV[9]
  local known = read(KEYS[1])
  if not known or not known.live then return 'gone' end
  if known.tag == tag then return 'done' end
  if known.version ~= expected then return 'conflict' end
  local next = { version = string.format('%d', tonumber(expected) + 1), tag = tag, expires = ARGV[5], seen = ARGV[6],
    created = known.created, bytes = bytes, rest = rest }
  local same = known.subject == ARGV[10]
  next.covered = covered ~= '' and covered or same and known.covered or '0'
  if bytes ~= '-' and not covers(next.covered, next.expires) then return 'uncovered' end
  write(KEYS[1], next)
  if known.subject and not same then return { 'done', known.subject } end
  return 'done'
end

if op == 'touch' then
  local known = read(KEYS[1])
  if not known or not known.live then return 'gone' end
  local seen, expires = later(ARGV[3], known.seen), later(ARGV[4], known.expires)
  if seen == known.seen and expires == known.expires then return 'done' end
  if ARGV[5] ~= '' then known.covered = later(ARGV[5], known.covered) end
  if known.subject and not covers(known.covered, expires) then return { 'uncovered', known.subject, known.created } end
  known.seen, known.expires = seen, expires
  write(KEYS[1], known)
  return 'done'
end

if op == 'remove' then
  local known = read(KEYS[1])
  if ARGV[3] ~= '' then
    if not known or not known.live then return 'gone' end
    if known.version ~= ARGV[3] then return 'conflict' end
  end
  redis.call('DEL', KEYS[1])
  if known and known.subject then return { 'done', known.subject } end
  return 'done'
end

if op == 'end' then
  local known = read(KEYS[1])
  if not known or known.subject ~= ARGV[3] then return 0 end
  redis.call('DEL', KEYS[1])
  return known.live and 1 or 0
end

if op == 'enter' then
  enter(KEYS[1], ARGV[3], ARGV[4], ARGV[5], ARGV[6])
  return 'done'
end

if op == 'confirm' then
  local entry = redis.call('HGET', KEYS[1], ARGV[3])
  if not entry or string.sub(entry, 1, 1) == 'x' then return 'ended' end
  redis.call('HSET', KEYS[1], ARGV[3], 'c' .. string.sub(entry, 2))
  return entriesBeyond(KEYS[1], tonumber(ARGV[4]))
end

if op == 'forget' then return forget() end

if op == 'condemn' then
  local own, keep, announced = ARGV[3], tonumber(ARGV[4]) - 1, {}
  for n = 5, #ARGV, 2 do
    local entry = redis.call('HGET', KEYS[1], ARGV[n])
    if entry == ARGV[n + 1] then
      -- The login under way sees, when it is confirmed, all that were confirmed before.
      if string.sub(entry, 1, 1) == 'p' then announced[ARGV[n]] = true else redis.call('HDEL', KEYS[1], ARGV[n]) end
    end
  end
  local all, others, condemned, present = redis.call('HGETALL', KEYS[1]), {}, {}, false
  for n = 1, #all, 2 do
    local id, state, covered, created = all[n], string.match(all[n + 1], '^(%a) (%S+) (%S+)$')
    if state == 'x' then table.insert(condemned, id); table.insert(condemned, all[n + 1])
    elseif id == own then present = true
    elseif not announced[id] then table.insert(others, { id = id, tail = string.sub(all[n + 1], 2), created = tonumber(created) }) end
  end
  if not present then return condemned end
  table.sort(others, function(a, b) return a.created > b.created or (a.created == b.created and a.id > b.id) end)
  for n = keep + 1, #others do
    local entry = 'x' .. others[n].tail
    redis.call('HSET', KEYS[1], others[n].id, entry)
    table.insert(condemned, others[n].id)
    table.insert(condemned, entry)
  end
  return condemned
end

return redis.error_reply('GATEPASS_OPERATION')
`

export const scriptName: string = sha1Hex(script)

export type Operation = 'insert' | 'replace' | 'touch' | 'remove' | 'end' | 'enter' | 'confirm' | 'forget' | 'condemn'
