"""The scripts of the shared queue: :class:`deployments.tenancy.queue.fair_queue.VirtualCounterQueue` in the store.

``KEYS`` are those of :func:`deployments.tenancy.queue.calls.queue_keys`. Of each request there is who waits and what
its turn is charged with; its ``member`` is its place in the order of its tenant, empty when it is under way. Members
sort as lane, tenant, order, so the first request of a tenant is found in logarithmic time. Of the backlogged tenants of
a lane there are ``counters`` and ``services``, of the others the services in ``idle``. No script takes more than
``MOST`` requests out of the queue, and it says so when there are more.

``ARGV`` begins with: time to live of all keys in seconds, now, places, the beginning of the names of streams, the end
of the caller's leases, the caller, a word that stands for the store's memory if it has none yet. What becomes of the
caller's own requests is in the answer, other gateways hear of theirs by their streams.
"""

from __future__ import annotations

from deployments.state.script import Script

MOST = 256
TURN, LATE, WAIT, FULL, GONE, OTHER = "turn", "late", "wait", "full", "gone", "other"

_LIBRARY = rf"""
local REQUESTS, WAITING, LEASES, DEADLINES, COUNTS, OWNERS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[12]
local COUNTERS, SERVICES = {{['0'] = KEYS[6], ['1'] = KEYS[7]}}, {{['0'] = KEYS[8], ['1'] = KEYS[9]}}
local IDLE = {{['0'] = KEYS[10], ['1'] = KEYS[11]}}
local TTL, NOW, STREAMS, LEASE, OWNER = ARGV[1], ARGV[2], ARGV[4], ARGV[5], ARGV[6]
local places, left = tonumber(ARGV[3]), {MOST}
local call, news = redis.call, {{['{TURN}'] = {{}}, ['{LATE}'] = {{}}}}
call('HSETNX', COUNTS, 'born', ARGV[7])
"""

_REQUESTS = r"""
local function count(field, by)
  if call('HINCRBY', COUNTS, field, by) == 0 then call('HDEL', COUNTS, field) end
end

local function counted(field)
  return tonumber(call('HGET', COUNTS, field) or '0')
end

local function find(id)
  local text = call('HGET', REQUESTS, id)
  return text and cjson.decode(text)
end

local function keep(request)
  call('HSET', REQUESTS, request.id, cjson.encode(request))
  call('ZADD', LEASES, LEASE, request.id)
end

local function drop(request)
  call('HDEL', REQUESTS, request.id)
  call('ZREM', LEASES, request.id)
end

local function tell(request, word)
  if request.owner == OWNER then
    table.insert(news[word], request.id)
  else
    call('XADD', STREAMS .. request.owner, 'MAXLEN', '~', '4096', '*', word, request.id)
    call('EXPIRE', STREAMS .. request.owner, TTL)
  end
end
"""

_COUNTERS = r"""
local function sum(a, b)
  return string.format('%.17g', tonumber(a) + tonumber(b))
end

local function charged(lane, tenant)
  return call('HGET', COUNTS, 'charged:' .. lane .. ':' .. tenant) or '0'
end

local function level_of(lane)
  local level = call('HGET', COUNTS, 'level:' .. lane) or '0'
  local least = call('ZRANGE', SERVICES[lane], 0, 0, 'WITHSCORES')[2]
  if not least then
    local last = call('HGET', COUNTS, 'last:' .. lane)
    least = last and call('ZSCORE', IDLE[lane], last)
  end
  if least and tonumber(least) > tonumber(level) then
    call('HSET', COUNTS, 'level:' .. lane, least)
    return least
  end
  return level
end

local function lifted(lane, tenant)
  local level, own = level_of(lane), call('ZSCORE', IDLE[lane], tenant)
  return own and tonumber(own) > tonumber(level) and own or level
end

local function set_service(lane, tenant, service)
  if call('ZSCORE', SERVICES[lane], tenant) then
    call('ZADD', SERVICES[lane], service, tenant)
    call('ZADD', COUNTERS[lane], sum(service, charged(lane, tenant)), tenant)
  else
    call('ZADD', IDLE[lane], service, tenant)
  end
end

local function service_of(lane, tenant)
  return call('ZSCORE', SERVICES[lane], tenant) or call('ZSCORE', IDLE[lane], tenant)
end

local function charge(request)
  local lane, tenant = request.lane, request.tenant
  call('HSET', COUNTS, 'charged:' .. lane .. ':' .. tenant, sum(charged(lane, tenant), request.charge))
  count('running:' .. lane .. ':' .. tenant, 1)
  set_service(lane, tenant, service_of(lane, tenant))
end

local function settle(request, cost)
  local lane, tenant = request.lane, request.tenant
  count('running:' .. lane .. ':' .. tenant, -1)
  if counted('running:' .. lane .. ':' .. tenant) == 0 then
    call('HDEL', COUNTS, 'charged:' .. lane .. ':' .. tenant)
  else
    call('HSET', COUNTS, 'charged:' .. lane .. ':' .. tenant, sum(charged(lane, tenant), '-' .. request.charge))
  end
  set_service(lane, tenant, sum(service_of(lane, tenant), cost))
end

local function forget(lane)
  local below = call('ZRANGEBYSCORE', IDLE[lane], '-inf', '(' .. level_of(lane), 'LIMIT', 0, 8)
  for _, tenant in ipairs(below) do
    if counted('running:' .. lane .. ':' .. tenant) == 0 then call('ZREM', IDLE[lane], tenant) end
  end
end
"""

_MOVES = rf"""
local function join(request, order, deadline)
  local lane, tenant = request.lane, request.tenant
  request.member = lane .. tenant .. '\n' .. order .. request.id
  if not call('ZSCORE', SERVICES[lane], tenant) then
    local service = lifted(lane, tenant)
    call('ZREM', IDLE[lane], tenant)
    call('ZADD', SERVICES[lane], service, tenant)
    set_service(lane, tenant, service)
    call('HSET', COUNTS, 'since:' .. lane .. ':' .. tenant, NOW)
  end
  call('ZADD', WAITING, 0, request.member)
  if deadline ~= '' then call('ZADD', DEADLINES, deadline, request.id) end
  count('waiting:' .. tenant, 1)
  count('waiting:' .. lane .. ':' .. tenant, 1)
  count('waiting::' .. request.band, 1)
  keep(request)
end

local function withdraw(request)
  local lane, tenant = request.lane, request.tenant
  call('ZREM', WAITING, request.member)
  call('ZREM', DEADLINES, request.id)
  count('waiting:' .. tenant, -1)
  count('waiting:' .. lane .. ':' .. tenant, -1)
  count('waiting::' .. request.band, -1)
  request.member = ''
  if counted('waiting:' .. lane .. ':' .. tenant) == 0 then
    call('ZADD', IDLE[lane], call('ZSCORE', SERVICES[lane], tenant), tenant)
    call('ZREM', SERVICES[lane], tenant)
    call('ZREM', COUNTERS[lane], tenant)
    call('HDEL', COUNTS, 'since:' .. lane .. ':' .. tenant)
  end
end

local function begin(request)
  count('running', 1)
  charge(request)
  call('HSET', REQUESTS, request.id, cjson.encode(request))
end

local function finish(request, cost)
  if request.member ~= '' then
    withdraw(request)
  else
    count('running', -1)
    settle(request, cost)
  end
  drop(request)
end

local function expire()
  for _, id in ipairs(call('ZRANGEBYSCORE', DEADLINES, '-inf', NOW, 'LIMIT', 0, left)) do
    local request = find(id)
    withdraw(request)
    drop(request)
    tell(request, '{LATE}')
    left = left - 1
  end
  for _, id in ipairs(call('ZRANGEBYSCORE', LEASES, '-inf', '(' .. NOW, 'LIMIT', 0, left)) do
    local request = find(id)
    finish(request, '0')
    left = left - 1
  end
end

local function first()
  for _, lane in ipairs({{'0', '1'}}) do
    local tenant = call('ZRANGE', COUNTERS[lane], 0, 0)[1]
    if tenant then
      local own = lane .. tenant
      local member = call('ZRANGEBYLEX', WAITING, '[' .. own .. '\n', '(' .. own .. '\11', 'LIMIT', 0, 1)[1]
      return find(string.sub(member, #own + 35))
    end
  end
end

local function dispatch()
  expire()
  local running = counted('running')
  while running < places and left > 0 do
    local request = first()
    if not request then break end
    withdraw(request)
    begin(request)
    call('HSET', COUNTS, 'last:' .. request.lane, request.tenant)
    tell(request, '{TURN}')
    running, left = running + 1, left - 1
  end
  forget('0')
  forget('1')
end

local function answer(word, ...)
  for _, key in ipairs(KEYS) do call('EXPIRE', key, TTL) end
  return {{word, news['{TURN}'], news['{LATE}'], left == 0 and 1 or 0, ...}}
end
"""

_COMMON = _LIBRARY + _REQUESTS + _COUNTERS + _MOVES

# ARGV: id, tenant, charge, lane, band, band's rank and time due, deadline or nothing, cap or nothing.
ENTER = Script(
    "queue.enter",
    _COMMON
    + rf"""
dispatch()
local known, deadline, cap = find(ARGV[8]), ARGV[14], ARGV[15]
if known then
  known.owner = OWNER
  keep(known)
elseif deadline ~= '' and tonumber(deadline) <= tonumber(NOW) then
  return answer('{LATE}')
elseif cap ~= '' and counted('waiting:' .. ARGV[9]) >= tonumber(cap) then
  return answer('{FULL}')
else
  local request = {{id = ARGV[8], tenant = ARGV[9], charge = ARGV[10], lane = ARGV[11], band = ARGV[12], owner = OWNER}}
  local number = string.format('%016.0f', call('HINCRBY', COUNTS, 'arrivals', 1))
  join(request, ARGV[13] .. number, deadline)
  dispatch()
end
local held = find(ARGV[8])
return answer(held and (held.member == '' and '{TURN}' or '{WAIT}') or '{LATE}')
""",
)

# ARGV: id, tenant, charge, lane, band.
RESUME = Script(
    "queue.resume",
    _COMMON
    + rf"""
local known = find(ARGV[8])
if known and known.member == '' then
  known.owner = OWNER
  keep(known)
else
  if known then withdraw(known) end
  local request = {{id = ARGV[8], tenant = ARGV[9], charge = ARGV[10], lane = ARGV[11], band = ARGV[12], owner = OWNER}}
  request.member = ''
  if not call('ZSCORE', SERVICES[request.lane], request.tenant) then
    call('ZADD', IDLE[request.lane], lifted(request.lane, request.tenant), request.tenant)
  end
  keep(request)
  begin(request)
end
dispatch()
return answer('{TURN}')
""",
)

# ARGV: id, cost per weight, the only gateway whose request it may be or nothing.
END = Script(
    "queue.end",
    _COMMON
    + rf"""
local known = find(ARGV[8])
if known and (ARGV[10] == '' or ARGV[10] == known.owner) then finish(known, ARGV[9]) end
dispatch()
return answer('{GONE}')
""",
)

# ARGV: ids. Answers with the store's memory, the gateways that there are, and what each of the ids is.
RENEW = Script(
    "queue.renew",
    _COMMON
    + rf"""
call('ZREMRANGEBYSCORE', OWNERS, '-inf', '(' .. NOW)
call('ZADD', OWNERS, LEASE, OWNER)
local states = {{}}
for i = 8, #ARGV do
  local known = find(ARGV[i])
  local word = '{GONE}'
  if known and known.owner ~= OWNER then
    word = '{OTHER}'
  elseif known then
    word = known.member == '' and '{TURN}' or '{WAIT}'
    call('ZADD', LEASES, LEASE, ARGV[i])
  end
  table.insert(states, word)
end
dispatch()
return answer(call('HGET', COUNTS, 'born'), call('ZCARD', OWNERS), states)
""",
)

# KEYS: as above. ARGV: bands. Answers with what is under way, what waits by band, the counters of all idle tenants, and
# for each lane the counters and the services of the backlogged ones, and since when each of them has been backlogged.
STATE = Script(
    "queue.state",
    r"""
local COUNTS, call = KEYS[5], redis.call
local waiting, idle = {}, call('ZRANGE', KEYS[10], 0, -1, 'WITHSCORES')
for i, band in ipairs(ARGV) do waiting[i] = call('HGET', COUNTS, 'waiting::' .. band) or '0' end
for i = 1, #idle, 2 do
  local charged = call('HGET', COUNTS, 'charged:0:' .. idle[i]) or '0'
  idle[i + 1] = string.format('%.17g', tonumber(idle[i + 1]) + tonumber(charged))
end
local function backlog(lane, counters, services)
  local services, since = call('ZRANGE', services, 0, -1, 'WITHSCORES'), {}
  for i = 1, #services, 2 do
    table.insert(since, call('HGET', COUNTS, 'since:' .. lane .. ':' .. services[i]))
  end
  return {call('ZRANGE', counters, 0, -1, 'WITHSCORES'), services, since}
end
return {
  call('HGET', COUNTS, 'running') or '0',
  waiting,
  idle,
  backlog('0', KEYS[6], KEYS[8]),
  backlog('1', KEYS[7], KEYS[9]),
}
""",
)
