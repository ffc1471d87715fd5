"""The scripts that read and write what belongs to one request, in one piece.

``KEYS`` are the record, the checkpoint, the plan and the log (:class:`deployments.state.keys.RequestKeys`). A write
answers ``ok`` or says what it found instead, and changes nothing then. ``ARGV[1]`` of a write is the time to live in
seconds. The values of a record's fields are JSON, so a status has its quotation marks.
"""

from __future__ import annotations

import json

from deployments.state.record import TERMINAL
from deployments.state.script import Script

_HAS_ENDED = f"""
local has_ended = {{{", ".join(f"['{json.dumps(status)}'] = true" for status in sorted(TERMINAL))}}}
"""

_RENEW = """
for i = 1, 4 do redis.call('EXPIRE', KEYS[i], ARGV[1]) end
"""

# ARGV: time to live, plan, then field and value in turn.
CREATE = Script(
    "state.create",
    """
if redis.call('EXISTS', KEYS[1]) == 1 then
  if (redis.call('GET', KEYS[3]) or '') ~= ARGV[2] then return 'taken' end
  for i = 3, #ARGV, 2 do
    if redis.call('HGET', KEYS[1], ARGV[i]) ~= ARGV[i + 1] then return 'taken' end
  end
else
  redis.call('DEL', unpack(KEYS))
  redis.call('HSET', KEYS[1], unpack(ARGV, 3))
  if ARGV[2] ~= '' then redis.call('SET', KEYS[3], ARGV[2]) end
end
"""
    + _RENEW
    + "return 'ok'",
)

# ARGV: time to live, epoch, entries before these, checkpoint, most entries and bytes of a log, whether this ends the
# request, length of the fields, field and value in turn, entries.
WRITE = Script(
    "state.write",
    _HAS_ENDED
    + """
local epoch, after, checkpoint, ends = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[7] == '1'
local fields, entries = 9, 9 + tonumber(ARGV[8])
local count = #ARGV - entries + 1

local held = redis.call('HMGET', KEYS[1], 'epoch', 'status', 'entries', 'log_bytes')
if not held[1] then return 'missing' end
if held[1] ~= epoch then return 'fenced' end
local known, size = tonumber(held[3]), tonumber(held[4])
local overlap = math.min(known - after, count)

local function repeats_log()
  for i = 1, overlap do
    local id = (after + i) .. '-0'
    local entry = redis.call('XRANGE', KEYS[4], id, id)[1]
    if not entry or entry[2][2] ~= ARGV[entries + i - 1] then return false end
  end
  return true
end

local function repeats_fields()
  for i = fields, entries - 1, 2 do
    if ARGV[i] ~= 'updated_at' and redis.call('HGET', KEYS[1], ARGV[i]) ~= ARGV[i + 1] then return false end
  end
  return true
end

if has_ended[held[2]] then
  if ends and overlap == count and repeats_log() and repeats_fields() then return 'ok' end
  return 'ended'
end
if overlap < 0 then return 'gap' end
if not repeats_log() then return 'conflict' end

local bounded, whole = size, size
for i = overlap + 1, count do
  bounded, whole = whole, whole + #ARGV[entries + i - 1]
end
local length = known + count - overlap
if not ends then bounded = whole end
if bounded > tonumber(ARGV[6]) or length - (ends and 1 or 0) > tonumber(ARGV[5]) then return 'full' end

for i = overlap + 1, count do
  redis.call('XADD', KEYS[4], (after + i) .. '-0', 'entry', ARGV[entries + i - 1])
end
redis.call('HSET', KEYS[1], 'entries', length, 'log_bytes', whole, unpack(ARGV, fields, entries - 1))
if ends then
  redis.call('DEL', KEYS[2], KEYS[3])
elseif checkpoint ~= '' then
  redis.call('SET', KEYS[2], checkpoint)
end
"""
    + _RENEW
    + "return 'ok'",
)

# ARGV: time to live, owner, now, end of the lease. Answers with the record, the plan, the checkpoint and the log.
ACQUIRE = Script(
    "state.acquire",
    _HAS_ENDED
    + """
local held = redis.call('HMGET', KEYS[1], 'status', 'owner', 'lease_until')
if not held[1] or has_ended[held[1]] then return false end
if held[2] ~= ARGV[2] or held[3] ~= ARGV[4] then
  if tonumber(held[3]) >= tonumber(ARGV[3]) then return false end
  redis.call('HINCRBY', KEYS[1], 'epoch', 1)
  redis.call('HSET', KEYS[1], 'owner', ARGV[2], 'lease_until', ARGV[4])
end
"""
    + _RENEW
    + """
local log = {}
for i, entry in ipairs(redis.call('XRANGE', KEYS[4], '-', '+')) do log[i] = entry[2][2] end
return {redis.call('HGETALL', KEYS[1]), redis.call('GET', KEYS[3]), redis.call('GET', KEYS[2]), log}
""",
)

DELETE = Script(
    "state.delete",
    """
local existed = redis.call('EXISTS', KEYS[1])
redis.call('DEL', unpack(KEYS))
return existed
""",
)

# KEYS: the claim. ARGV: time to live, claim. Answers with the claim that is there.
CLAIM = Script(
    "state.claim",
    """
local held = redis.call('GET', KEYS[1])
if held then return held end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[1])
return ARGV[2]
""",
)

# KEYS: the inbox. ARGV: time to live, most messages, message.
SEND = Script(
    "state.send",
    """
redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[2], '*', 'message', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[1])
""",
)

# KEYS: the index of leases. ARGV: member, the score that was found wrong, the right one or nothing.
CORRECT = Script(
    "state.correct",
    """
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) ~= tonumber(ARGV[2]) then return end
if ARGV[3] == '' then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
end
""",
)
