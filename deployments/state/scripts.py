"""The scripts that read and write a record in one piece.

``KEYS`` are the record's hash and its tokens, which share one slot of a cluster. A script answers ``ok`` or says what
it found instead, and changes nothing then. ``ARGV[1]`` of a write is the time to live in seconds.
"""

from __future__ import annotations

_RENEW = """
redis.call('EXPIRE', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[1])
return 'ok'
"""

# ARGV: time to live, packed tokens, then field and value in turn.
CREATE = (
    """
if redis.call('EXISTS', KEYS[1]) == 1 then
  if (redis.call('GET', KEYS[2]) or '') ~= ARGV[2] then return 'taken' end
  for i = 3, #ARGV, 2 do
    if redis.call('HGET', KEYS[1], ARGV[i]) ~= ARGV[i + 1] then return 'taken' end
  end
end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
redis.call('SET', KEYS[2], ARGV[2])
"""
    + _RENEW
)

# ARGV: time to live, offset in bytes, packed tokens.
APPEND = (
    """
if redis.call('EXISTS', KEYS[1]) == 0 then return 'missing' end
local offset, tokens = tonumber(ARGV[2]), ARGV[3]
local known = redis.call('STRLEN', KEYS[2]) - offset
if known < 0 then return 'gap' end
local overlap = math.min(known, #tokens)
if overlap > 0 and redis.call('GETRANGE', KEYS[2], offset, offset + overlap - 1) ~= string.sub(tokens, 1, overlap) then
  return 'conflict'
end
redis.call('APPEND', KEYS[2], string.sub(tokens, overlap + 1))
"""
    + _RENEW
)

# ARGV: time to live, then field and value in turn.
UPDATE = (
    """
if redis.call('EXISTS', KEYS[1]) == 0 then return 'missing' end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
"""
    + _RENEW
)

READ = """
return {redis.call('HGETALL', KEYS[1]), redis.call('GET', KEYS[2])}
"""
