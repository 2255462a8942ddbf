import { sha1Hex } from '../../crypto/sha1.ts'

/**
 * The steps that Redis does at once. Each call reads and writes one key, so that it runs on the cluster's server for that key. Only
 * `insert` takes a second key, where all keys are on one server. There it also finds, by the index, the keys of the sessions that a
 * login ends, because the caller cannot know them before.
 *
 * One script, so that one load makes all steps known. It is not a Redis function: a script is named by its content, so that two
 * versions of an application run side by side, and it needs no right to change libraries.
 *
 * A record is `version tag handle expiresAt seenAt createdAt coveredUntil subjectBytes subjectChars aboutChars\n` followed by subject,
 * notes and data. Numbers are compared as numbers and kept as the text in which they came. The tag names the write: if a client
 * repeats a write whose reply was lost (Sentinel's client does), the script recognises it and gives the same answer.
 *
 * An entry of a subject's index is `state coveredUntil createdAt handle` under the session's id. States: p, the record will be
 * written; c, it is written; x, it is over the limit and will be removed.
 */
export const script = `
local op, now = ARGV[1], tonumber(ARGV[2])
local HOUR = 3600000
local SPREAD = 300000

local function read(key)
  local value = redis.call('GET', key)
  if not value then return nil end
  local _, stop, version, tag, handle, expires, seen, created, covered, bytes =
    string.find(value, '^(%d+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) ')
  if not stop then error('GATEPASS_FORMAT') end
  local record = { version = version, tag = tag, handle = handle, expires = expires, seen = seen, created = created, covered = covered,
    bytes = bytes, rest = string.sub(value, stop + 1), live = tonumber(expires) > now }
  if bytes ~= '-' then
    local text = string.find(record.rest, '\\n', 1, true) + 1
    record.subject = string.sub(record.rest, text, text + tonumber(bytes) - 1)
  end
  return record
end

-- How long the server keeps a key that is needed until 'moment'. An hour more: the process whose clock wrote it may be an hour ahead of
-- those that read it. And up to five minutes more, by the end of the key, which is a hash: Redis removes keys that expire together for
-- up to 25 ms at a time, and answers no command meanwhile.
local function lifetime(key, moment)
  local part = tonumber(string.match(key, '%x%x%x%x$') or '0', 16) / 65536
  return math.max(1, math.ceil(tonumber(moment) - now)) + HOUR + math.floor(SPREAD * part)
end

local function put(key, value, expires)
  redis.call('SET', key, value, 'PX', string.format('%.0f', lifetime(key, expires)))
end

local function write(key, r)
  put(key, table.concat({ r.version, r.tag, r.handle, r.expires, r.seen, r.created, r.covered, r.bytes, r.rest }, ' '), r.expires)
end

local function later(a, b)
  if tonumber(a) > tonumber(b) then return a end
  return b
end

local function covers(covered, expires)
  return tonumber(covered) >= tonumber(expires) + HOUR
end

-- An entry outlives its record by a day, and a clock that is wrong by an hour must not remove one too early.
local function enter(key, id, state, covered, created, handle)
  -- At most 20, at random. Most subjects have fewer, and a login must not take longer the more there are.
  local some = redis.call('HRANDFIELD', key, 20, 'WITHVALUES')
  for n = 1, #some, 2 do
    if tonumber(string.match(some[n + 1], '^%a (%S+)')) + HOUR < now then redis.call('HDEL', key, some[n]) end
  end
  local known = redis.call('HGET', key, id)
  if known and string.sub(known, 1, 1) == 'x' then state = 'x' end
  redis.call('HSET', key, id, table.concat({ state, covered, created, handle }, ' '))
  local ttl = lifetime(key, covered)
  if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, string.format('%.0f', ttl)) end
end

local function isBeyond(key, limit)
  return limit > 0 and redis.call('HLEN', key) > limit
end

-- Of entries of other sessions those of all but the youngest that are kept. Entries with one handle are one session.
local function surplus(entries, keep)
  local sessions, known = {}, {}
  for _, entry in ipairs(entries) do
    local session = known[entry.handle]
    if not session then
      session = { handle = entry.handle, created = entry.created, entries = {} }
      known[entry.handle] = session
      table.insert(sessions, session)
    end
    session.created = math.max(session.created, entry.created)
    table.insert(session.entries, entry)
  end
  table.sort(sessions, function(a, b)
    return a.created > b.created or (a.created == b.created and a.handle > b.handle)
  end)
  local over = {}
  for n = keep + 1, #sessions do
    for _, entry in ipairs(sessions[n].entries) do table.insert(over, entry) end
  end
  return over
end

local function entries(key)
  local all, list = redis.call('HGETALL', key), {}
  for n = 1, #all, 2 do
    local state, covered, created, handle = string.match(all[n + 1], '^(%a) (%S+) (%S+) (%S+)$')
    table.insert(list, { id = all[n], text = all[n + 1], state = state, created = tonumber(created), handle = handle })
  end
  return list
end

-- Where all keys are in one place, nothing is under way beside this: what the index says is checked and done at once.
local function endSurplus(id, limit)
  if not isBeyond(KEYS[2], limit) then return 0 end
  local own, others = read(KEYS[1]), {}
  for _, entry in ipairs(entries(KEYS[2])) do
    entry.key = string.sub(KEYS[1], 1, -1 - #id) .. entry.id
    local record = read(entry.key)
    if not record or not record.live or record.subject ~= own.subject then
      if entry.state == 'c' then redis.call('HDEL', KEYS[2], entry.id) end
    elseif record.handle ~= own.handle then table.insert(others, entry) end
  end
  local over = surplus(others, limit - 1)
  for _, entry in ipairs(over) do
    redis.call('DEL', entry.key)
    redis.call('HDEL', KEYS[2], entry.id)
  end
  return #over
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
  local tag, known = ARGV[4], read(KEYS[1])
  local repeated = known and known.tag == tag
  if known and known.live and not repeated then return 'duplicate' end
  if KEYS[2] then enter(KEYS[2], ARGV[6], 'c', ARGV[7], ARGV[8], ARGV[9]) end
  if not repeated then put(KEYS[1], ARGV[3], ARGV[5]) end
  if KEYS[2] then return endSurplus(ARGV[6], tonumber(ARGV[10])) end
  return 0
end

if op == 'replace' then
  local expected, tag, covered, bytes, rest = ARGV[3], ARGV[4], ARGV[7], ARGV[8], ARGV[9]
  local known = read(KEYS[1])
  if not known or not known.live then return 'gone' end
  if known.tag == tag then return 'done' end
  if known.version ~= expected then return 'conflict' end
  local next = { version = string.format('%d', tonumber(expected) + 1), tag = tag, handle = known.handle,
    expires = ARGV[5], seen = ARGV[6], created = known.created, bytes = bytes, rest = rest }
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
  if known.subject and not covers(known.covered, expires) then return { 'uncovered', known.subject, known.created, known.handle } end
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
  enter(KEYS[1], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7])
  return 'done'
end

if op == 'confirm' then
  local entry = redis.call('HGET', KEYS[1], ARGV[3])
  if not entry or string.sub(entry, 1, 1) == 'x' then return 'ended' end
  redis.call('HSET', KEYS[1], ARGV[3], 'c' .. string.sub(entry, 2))
  if isBeyond(KEYS[1], tonumber(ARGV[4])) then return redis.call('HGETALL', KEYS[1]) end
  return 'done'
end

if op == 'forget' then return forget() end

if op == 'condemn' then
  local keep, announced = tonumber(ARGV[4]) - 1, {}
  for n = 5, #ARGV, 2 do
    local entry = redis.call('HGET', KEYS[1], ARGV[n])
    if entry == ARGV[n + 1] then
      -- The login under way sees, when it is confirmed, all that were confirmed before.
      if string.sub(entry, 1, 1) == 'p' then announced[ARGV[n]] = true else redis.call('HDEL', KEYS[1], ARGV[n]) end
    end
  end
  local own = string.match(redis.call('HGET', KEYS[1], ARGV[3]) or '', '^[pc] %S+ %S+ (%S+)$')
  local others, condemned = {}, {}
  for _, entry in ipairs(entries(KEYS[1])) do
    if entry.state == 'x' then table.insert(condemned, entry)
    elseif entry.handle ~= own and not announced[entry.id] then table.insert(others, entry) end
  end
  -- Otherwise the login itself has been ended meanwhile, or is about to be.
  for _, entry in ipairs(own and surplus(others, keep) or {}) do
    entry.text = 'x' .. string.sub(entry.text, 2)
    redis.call('HSET', KEYS[1], entry.id, entry.text)
    table.insert(condemned, entry)
  end
  local pairs = {}
  for _, entry in ipairs(condemned) do
    table.insert(pairs, entry.id)
    table.insert(pairs, entry.text)
  end
  return pairs
end

return redis.error_reply('GATEPASS_OPERATION')
`

export const scriptName: string = sha1Hex(script)

export type Operation = 'insert' | 'replace' | 'touch' | 'remove' | 'end' | 'enter' | 'confirm' | 'forget' | 'condemn'
