"""The scripts that read and write the directory, in one piece each.

``tenants``, ``keys`` and ``uses`` are hashes by name or id, ``members`` is the set of a tenant's keys by their ids,
``changes`` a stream. Each entry of the stream names the one before it, so that a reader sees what it lacks.
"""

from __future__ import annotations

from deployments.state.script import Script

_TELL = """
local function tell(changes, most, tenant)
  local last = redis.call('XREVRANGE', changes, '+', '-', 'COUNT', 1)[1]
  redis.call('XADD', changes, 'MAXLEN', most, '*', 'after', last and last[1] or '0-0', 'tenant', tenant)
end
"""

# KEYS: changes. Answers with the id of the newest entry. A stream without any gets one, since an empty stream cannot be
# told from another empty one.
NEWEST = Script(
    "directory.newest",
    """
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
return last and last[1] or redis.call('XADD', KEYS[1], '*', 'after', '0-0', 'tenant', '')
""",
)

# KEYS: tenants, changes. ARGV: most changes, name, tenant.
PUT_TENANT = Script(
    "directory.put_tenant",
    _TELL
    + """
if redis.call('HGET', KEYS[1], ARGV[2]) == ARGV[3] then return end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
tell(KEYS[2], ARGV[1], ARGV[2])
""",
)

# KEYS: tenants, changes, keys, uses, members. ARGV: most changes, name. Answers whether there was one.
REMOVE_TENANT = Script(
    "directory.remove_tenant",
    _TELL
    + """
if redis.call('HDEL', KEYS[1], ARGV[2]) == 0 then return 0 end
for _, id in ipairs(redis.call('SMEMBERS', KEYS[5])) do
  redis.call('HDEL', KEYS[3], id)
  redis.call('HDEL', KEYS[4], id)
end
redis.call('DEL', KEYS[5])
tell(KEYS[2], ARGV[1], ARGV[2])
return 1
""",
)

# KEYS: keys, uses. ARGV: id. Answers with the key and its last use.
KEY = Script(
    "directory.key",
    """
return {redis.call('HGET', KEYS[1], ARGV[1]), redis.call('HGET', KEYS[2], ARGV[1])}
""",
)

# KEYS: keys, uses, members. Answers with keys and their last uses in turn.
KEYS_OF = Script(
    "directory.keys_of",
    """
local found = {}
for _, id in ipairs(redis.call('SMEMBERS', KEYS[3])) do
  found[#found + 1] = redis.call('HGET', KEYS[1], id)
  found[#found + 1] = redis.call('HGET', KEYS[2], id)
end
return found
""",
)

_USE = """
local function use(uses, id, hour)
  local last = redis.call('HGET', uses, id)
  if not last or tonumber(last) < tonumber(hour) then redis.call('HSET', uses, id, hour) end
end
"""

# KEYS: tenants, changes, keys, uses, members. ARGV: most changes, tenant, id, key, last use or nothing.
PUT_KEY = Script(
    "directory.put_key",
    _TELL
    + _USE
    + """
if not redis.call('HGET', KEYS[1], ARGV[2]) then return 'missing' end
local held = redis.call('HGET', KEYS[3], ARGV[3])
if held then
  local known = cjson.decode(held)
  if known['tenant'] ~= ARGV[2] then return 'taken' end
  if type(known['revoked_at']) == 'number' and type(cjson.decode(ARGV[4])['revoked_at']) ~= 'number' then
    return 'revoked'
  end
end
if ARGV[5] ~= '' then use(KEYS[4], ARGV[3], ARGV[5]) end
if held == ARGV[4] then return 'ok' end
redis.call('HSET', KEYS[3], ARGV[3], ARGV[4])
redis.call('SADD', KEYS[5], ARGV[3])
tell(KEYS[2], ARGV[1], ARGV[2])
return 'ok'
""",
)

# KEYS: tenants, changes, keys, uses, members. ARGV: most changes, tenant, id. Answers whether the tenant had it.
REMOVE_KEY = Script(
    "directory.remove_key",
    _TELL
    + """
if redis.call('SREM', KEYS[5], ARGV[3]) == 0 then return 0 end
redis.call('HDEL', KEYS[3], ARGV[3])
redis.call('HDEL', KEYS[4], ARGV[3])
tell(KEYS[2], ARGV[1], ARGV[2])
return 1
""",
)

# KEYS: keys, uses. ARGV: id, hour.
USED = Script(
    "directory.used",
    _USE
    + """
if redis.call('HGET', KEYS[1], ARGV[1]) then use(KEYS[2], ARGV[1], ARGV[2]) end
""",
)
