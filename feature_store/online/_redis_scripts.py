"""What Redis does by itself, in Lua: each script is one step that nothing comes between, and may be sent twice.

A script reads and writes keys of one hash slot, so each works on a cluster. Times and rows come packed: Lua's numbers hold
no int64.
"""

from __future__ import annotations

from typing import Final

BEGIN: Final = """
-- head -> revision of a writer that begins, state, sequence, revisions of writers that never came to their end
local writing = redis.call('HGET', KEYS[1], 'writing')
if writing then
  local aborted = redis.call('HGET', KEYS[1], 'aborted')
  redis.call('HSET', KEYS[1], 'aborted', (aborted and aborted .. ',' or '') .. writing)
end
local mine = redis.call('HINCRBY', KEYS[1], 'revisions', 1)
redis.call('HSET', KEYS[1], 'writing', mine)
local found = redis.call('HMGET', KEYS[1], 'state', 'sequence', 'aborted')
return {mine, found[1] or '', tonumber(found[2] or '0'), found[3] or ''}
"""
"""A writer that begins takes the turn of whoever wrote."""

FLIP: Final = """
-- head; revision of the writer (0: any), state before, state after -> 1, or 0 where the state or the writer is another
local state = redis.call('HGET', KEYS[1], 'state') or ''
if state == ARGV[3] then return 1 end
if state ~= ARGV[2] then return 0 end
if ARGV[1] ~= '0' then
  if redis.call('HGET', KEYS[1], 'writing') ~= ARGV[1] then return 0 end
  redis.call('HDEL', KEYS[1], 'writing', 'aborted')
end
redis.call('HSET', KEYS[1], 'state', ARGV[3])
return 1
"""
"""What is served changes. States hold a nonce, so that one sent twice is known."""

CHANGE: Final = """
-- bucket; revision, parent's, that of the snapshot before it, dead ones, then (key, record) ... -> keys more, bytes more
local mine, base, before = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local dead = {}
for number in string.gmatch(ARGV[4], '%d+') do dead[tonumber(number)] = true end
local head = redis.call('HGET', KEYS[1], '')
if not head then return {-1, 0, 0} end
local _, _, last = struct.unpack('>I8I8I8', head)
if last > mine then return {-2, 0, 0} end
redis.call('HSET', KEYS[1], '', struct.pack('>I8I8I8', before, base, mine))
local keys, bytes = 0, 0
for i = 5, #ARGV, 2 do
  local name, new = ARGV[i], ARGV[i + 1]
  local old = redis.call('HGET', KEYS[1], name) or ''
  local at, kept_before, kept_base = 1, nil, nil
  while at <= #old do
    local revision, length = struct.unpack('>I8I4', string.sub(old, at, at + 11))
    local size = 12 + (length == 4294967295 and 0 or length)
    if revision ~= mine and not dead[revision] then
      if revision <= before then kept_before = {at, size, length} end
      if revision <= base then kept_base = {at, size, length} end
    end
    at = at + size
  end
  local had = kept_base and kept_base[3] ~= 4294967295
  local has = string.sub(new, 9, 12) ~= '\\255\\255\\255\\255'
  keys = keys + (has and 1 or 0) - (had and 1 or 0)
  bytes = bytes + (has and #name + #new - 12 or 0) - (had and #name + kept_base[2] - 12 or 0)
  local value = ''
  if kept_before and kept_before[1] ~= kept_base[1] then
    value = string.sub(old, kept_before[1], kept_before[1] + kept_before[2] - 1)
  end
  if kept_base then value = value .. string.sub(old, kept_base[1], kept_base[1] + kept_base[2] - 1) end
  if value == '' and not has then
    redis.call('HDEL', KEYS[1], name)
  else
    redis.call('HSET', KEYS[1], name, value .. new)
  end
end
return {0, keys, bytes}
"""
"""Records get one more version each; those of the parent and of the snapshot before it stay."""

PUSH: Final = """
-- of each space head, rows, log, known; of each how many rows, then (key, idempotency, times, row) ... -> sequences
local at, told = 1, {}
for first = 1, #KEYS, 4 do
  local head, rows, log, knowns = KEYS[first], KEYS[first + 1], KEYS[first + 2], KEYS[first + 3]
  local sequence = tonumber(redis.call('HGET', head, 'sequence') or '0')
  local last = at + 4 * tonumber(ARGV[at])
  for i = at + 1, last, 4 do
    local key, known, times, row = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
    if redis.call('HSETNX', knowns, known, sequence + 1) == 1 then
      sequence = sequence + 1
      local entry = struct.pack('>I4', #row) .. times .. struct.pack('>I8', sequence) .. row
      redis.call('HSET', rows, key, (redis.call('HGET', rows, key) or '') .. entry)
      local logged = struct.pack('>I4I4', #key, #known) .. key .. known .. times .. row
      redis.call('HSET', log, sequence, logged)
    end
  end
  local purged = string.sub(redis.call('HGET', rows, '') or string.rep('\\0', 16), 1, 8)
  redis.call('HSET', rows, '', purged .. struct.pack('>I8', sequence))
  redis.call('HSET', head, 'sequence', sequence)
  at, told[#told + 1] = last + 1, sequence
end
return told
"""
"""Rows are added once each: those of a key lie together, with what orders them by (e, k)."""

PURGE: Final = """
-- head, rows, log, known, done; until, how many, how many idempotency keys stay -> 1 where there may be more
local head = redis.call('HGET', KEYS[2], '')
if not head then return 0 end
local purged, newest = struct.unpack('>I8I8', head)
local last = math.min(tonumber(ARGV[1]), newest, purged + tonumber(ARGV[2]))
local keys = {}
for sequence = purged + 1, last do
  local logged = redis.call('HGET', KEYS[3], sequence)
  if logged then
    local keyed, knowing = struct.unpack('>I4I4', logged)
    keys[string.sub(logged, 9, 8 + keyed)] = true
    redis.call('HDEL', KEYS[3], sequence)
    redis.call('HSET', KEYS[5], sequence, string.sub(logged, 9 + keyed, 8 + keyed + knowing))
  end
  local old = sequence - tonumber(ARGV[3])
  local known = old > 0 and redis.call('HGET', KEYS[5], old)
  if known then
    redis.call('HDEL', KEYS[4], known)
    redis.call('HDEL', KEYS[5], old)
  end
end
for key in pairs(keys) do
  local rows, kept, at = redis.call('HGET', KEYS[2], key) or '', {}, 1
  while at <= #rows do
    local length = struct.unpack('>I4', string.sub(rows, at, at + 3))
    local number = struct.unpack('>I8', string.sub(rows, at + 20, at + 27))
    if number > last then kept[#kept + 1] = string.sub(rows, at, at + 27 + length) end
    at = at + 28 + length
  end
  if #kept == 0 then
    redis.call('HDEL', KEYS[2], key)
  else
    redis.call('HSET', KEYS[2], key, table.concat(kept))
  end
end
if last > purged then redis.call('HSET', KEYS[2], '', struct.pack('>I8I8', last, newest)) end
return last < math.min(tonumber(ARGV[1]), newest) and 1 or 0
"""
"""Rows that no snapshot lacks leave the overlay."""

DROP: Final = """
-- head, rows, log, known, done -> the state that was
local state = redis.call('HGET', KEYS[1], 'state') or ''
redis.call('HDEL', KEYS[1], 'state', 'writing', 'aborted')
redis.call('UNLINK', KEYS[2], KEYS[3], KEYS[4], KEYS[5])
local sequence = tonumber(redis.call('HGET', KEYS[1], 'sequence') or '0')
redis.call('HSET', KEYS[2], '', struct.pack('>I8I8', sequence, sequence))
return state
"""
"""The sequence stays in the head, and the revisions."""
