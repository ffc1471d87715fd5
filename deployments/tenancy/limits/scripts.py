"""The scripts that count on the server: :mod:`deployments.tenancy.limits.counts` in its language.

``KEYS`` are the counts, the places and the reservation (:class:`deployments.tenancy.limits.keys.LimitKeys`), all of one
tenant. Counts are a hash of whole numbers, and a limit of -1 is none. Places are a sorted set by the ends of their
leases, with one member for each place. ``ARGV[1]`` is the time in milliseconds, or nothing for that of the server, and
``ARGV[2]`` the time to live of the counts in seconds.
"""

from __future__ import annotations

from deployments.state.script import Script
from deployments.tenancy.limits.buckets import MINUTE
from deployments.tenancy.limits.periods import DAY

BUCKETS = ("requests", "tokens", "work")

_LOAD = f"""
local names = {{{", ".join(f"'{name}'" for name in BUCKETS)}}}
local minute = {MINUTE}
local counts = setmetatable({{}}, {{__index = function() return 0 end}})
local flat = redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do counts[flat[i]] = tonumber(flat[i + 1]) end

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
now = math.max(now, counts.at)
local elapsed = math.min(now - counts.at, minute)
counts.at = now

local function less(name, parts)
  counts[name .. '_used'] = counts[name .. '_used'] - parts
  counts[name .. '_gone'] = counts[name .. '_gone'] + parts
end

for _, name in ipairs(names) do
  less(name, math.min(counts[name .. '_used'], elapsed * math.max(counts[name .. '_limit'], 0)))
end

local day = math.floor(now / {DAY})
local of_era = (day + 719468) % 146097
local year = math.floor(
  (of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524) - math.floor(of_era / 146096)) / 365)
local of_year = of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
local month = (math.floor((day + 719468) / 146097) * 400 + year) * 12 + math.floor((5 * of_year + 2) / 153)
if counts.day ~= day then counts.day, counts.day_spent = day, 0 end
if counts.month ~= month then counts.month, counts.month_spent = month, 0 end

redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)

local function save()
  local flat = {{}}
  for name, value in pairs(counts) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  redis.call('HSET', KEYS[1], unpack(flat))
  redis.call('EXPIRE', KEYS[1], ARGV[2])
  redis.call('EXPIRE', KEYS[2], ARGV[2])
end

local function limit(first)
  for i, name in ipairs(names) do
    local limit = tonumber(ARGV[first + i - 1])
    less(name, math.max(0, counts[name .. '_used'] - math.max(limit, 0) * minute))
    counts[name .. '_limit'] = limit
  end
end

local function answer(verdict)
  local found = {{verdict, redis.call('ZCARD', KEYS[2]), now, day, counts.day_spent, month, counts.month_spent}}
  for _, name in ipairs(names) do
    for _, part in ipairs({{'_limit', '_used', '_gone'}}) do found[#found + 1] = counts[name .. part] end
  end
  return found
end
"""

# ARGV: time, time to live, the limits and then the charges in requests, tokens and work, the limits of places, day and
# month, places, lease in milliseconds, time to live of the reservation in seconds, reservation.
RESERVE = Script(
    "limits.reserve",
    _LOAD
    + """
local places, work = tonumber(ARGV[12]), tonumber(ARGV[8])
limit(3)
if redis.call('EXISTS', KEYS[3]) == 1 then return answer(1) end

local function fits(limit, taken, asked)
  return limit < 0 or asked <= math.max(0, limit - taken)
end

local fit = fits(tonumber(ARGV[9]), redis.call('ZCARD', KEYS[2]), places)
  and fits(tonumber(ARGV[10]), counts.day_spent, work)
  and fits(tonumber(ARGV[11]), counts.month_spent, work)
for i, name in ipairs(names) do
  local limit = counts[name .. '_limit']
  fit = fit and fits(limit < 0 and limit or limit * minute, counts[name .. '_used'], ARGV[5 + i] * minute)
end
if not fit then return answer(0) end

local kept = {'places', places, 'day', day, 'month', month}
for i, name in ipairs(names) do
  local mark = 0
  if counts[name .. '_limit'] >= 0 then
    counts[name .. '_used'] = counts[name .. '_used'] + ARGV[5 + i] * minute
    mark = counts[name .. '_used'] + counts[name .. '_gone']
  end
  for _, each in ipairs({name, ARGV[5 + i], name .. '_mark', mark}) do kept[#kept + 1] = each end
end
counts.day_spent, counts.month_spent = counts.day_spent + work, counts.month_spent + work
redis.call('HSET', KEYS[3], unpack(kept))
redis.call('EXPIRE', KEYS[3], ARGV[14])
for i = 1, places do redis.call('ZADD', KEYS[2], now + ARGV[13], i .. ':' .. ARGV[15]) end
save()
return answer(1)
""",
)

# ARGV: time, time to live, requests, tokens and work that were spent, reservation. Answers whether there was one.
SETTLE = Script(
    "limits.settle",
    _LOAD
    + """
local flat = redis.call('HGETALL', KEYS[3])
if #flat == 0 then return 0 end
local kept = {}
for i = 1, #flat, 2 do kept[flat[i]] = tonumber(flat[i + 1]) end

local unspent
for i, name in ipairs(names) do
  unspent = math.max(0, kept[name] - ARGV[2 + i])
  less(name, math.max(0, math.min(unspent * minute, kept[name .. '_mark'] - counts[name .. '_gone'])))
end
if kept.day == day then counts.day_spent = counts.day_spent - unspent end
if kept.month == month then counts.month_spent = counts.month_spent - unspent end
redis.call('DEL', KEYS[3])
for i = 1, kept.places do redis.call('ZREM', KEYS[2], i .. ':' .. ARGV[6]) end
save()
return 1
""",
)

# ARGV: time, time to live, the limits of requests, tokens and work.
LEVELS = Script(
    "limits.levels",
    _LOAD
    + """
limit(3)
return answer(1)
""",
)

# KEYS: counts, places, reservations. ARGV: time, time to live, lease in milliseconds, time to live of the reservations
# in seconds, the reservations in the order of their keys.
RENEW = Script(
    "limits.renew",
    _LOAD
    + """
for i = 3, #KEYS do
  local places = redis.call('HGET', KEYS[i], 'places')
  if places then
    redis.call('EXPIRE', KEYS[i], ARGV[4])
    for place = 1, tonumber(places) do redis.call('ZADD', KEYS[2], now + ARGV[3], place .. ':' .. ARGV[i + 2]) end
    redis.call('EXPIRE', KEYS[1], ARGV[2])
    redis.call('EXPIRE', KEYS[2], ARGV[2])
  end
end
""",
)
