"""The scripts of the ledger. All keys of one call belong to one tenant, and so to one slot of a cluster."""

from __future__ import annotations

from deployments.state.script import Script

# KEYS: ids, entries, sums. ARGV: time to live in seconds, id, length of the sums, counter and amount in turn, then the
# entry's fields and values in turn. Answers whether the id was new.
ENTER = Script(
    "ledger.enter",
    """
if redis.call('SADD', KEYS[1], ARGV[2]) == 0 then return 0 end
local entry = 4 + tonumber(ARGV[3])
for i = 4, entry - 1, 2 do redis.call('HINCRBY', KEYS[3], ARGV[i], ARGV[i + 1]) end
redis.call('XADD', KEYS[2], '*', unpack(ARGV, entry))
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[1]) end
return 1
""",
)

# KEYS: sums. Answers with all counters and amounts of each.
SUMS = Script(
    "ledger.sums",
    """
local sums = {}
for i, key in ipairs(KEYS) do sums[i] = redis.call('HGETALL', key) end
return sums
""",
)
