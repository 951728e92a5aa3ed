-- What every script about an account begins with: the words of account.rs, on keys.
--
-- Lua's numbers are doubles and lose units beyond 2^53, so amounts are text here: HINCRBY, exact to 64 bits, adds
-- them, and `more` compares them. Doubles count what is small: times, numbers of messages, units of meters.
--
-- The last two arguments are this server's clock as the caller has watched it: what is told, what is sure (ms), as in
-- account.rs.
--
-- STATE    granted, spent, expired, free, floats, debt, recall_until (ms), rolled_up, schema; how many grants, events; indexed, how
--          many events a request is found in, and unindexed, when the last batch ended of which that is not so (ms)
-- GRANTS   <n>:id, :amount, :remaining, :expired, :created, :expires (s, or ''), :note; and id:<id> -> n
-- OPEN     grants with a remainder, scored by when they expire (s): charges are taken in this order
-- HOLDERS  <holder> -> its last number; <holder>:float, :mark (of that number), :charged (in its name);
--          <replica>:newest, its newest life's epoch
-- LEASES   holders with a lease, scored by its end (ms)
-- ENDED    holders without, scored by its end: kept so that a late journal is not counted twice
-- METERS   <meter> -> window;holder=lent;holder=lent; and <meter>:used, :recall_until (ms)
local STATE, GRANTS, OPEN, HOLDERS, LEASES, ENDED, METERS =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]

local SCHEMA = 1
local RECALL = 2000
local SHARE = 4
local REMEMBERED = 400 * 24 * 60 * 60 * 1000
local LONGEST = 24 * 60 * 60 * 1000
-- Two clocks that are further apart disagree: the earlier is believed.
local SLACK = 60 * 1000
-- Beyond it HINCRBY could overflow, in the middle of a script. It is 9 billion US dollars.
local TOO_MUCH = 9e18
-- No meter lends more units than doubles count.
local MOST_UNITS = 2 ^ 53 - 1

local call = redis.call

-- A whole number as text. Redis does not read '-0'.
local function text(number)
  if number == 0 then return '0' end
  return string.format('%.0f', number)
end

-- Whether one amount is more than another; both at least 0, and without zeros in front.
local function more(one, other)
  if #one ~= #other then return #one > #other end
  return one > other
end

local function least(one, other) if more(one, other) then return other end return one end

local function most(one, other) if more(one, other) then return one end return other end

local function or_zero(amount) if amount:sub(1, 1) == '-' then return '0' end return amount end

-- All but the last six digits of an amount, and those, as doubles: each is exact.
local function split(amount) return tonumber(amount:sub(1, -7)) or 0, tonumber(amount:sub(-6)) end

-- What this server and the caller agree on; the later of both, by which leases are written, so that nobody loses one to
-- a clock that is behind; and what windows go by, which follows no jump of this server's.
local function clock()
  local time = call('TIME')
  local here, told, sure = time[1] * 1000 + math.floor(time[2] / 1000), tonumber(ARGV[#ARGV - 1]), tonumber(ARGV[#ARGV])
  local function agreed(there) if there + SLACK < here then return there end return here end
  local steady = here
  if math.abs(told - here) > SLACK then steady = told end
  return { told = agreed(told), sure = agreed(sure), late = math.max(here, told), steady = steady }
end

local function get(field) return call('HGET', STATE, field) or '0' end

local function add(key, field, amount)
  if amount ~= '0' then call('HINCRBY', key, field, amount) end
end

local function subtract(key, field, amount)
  if amount ~= '0' then call('HINCRBY', key, field, '-' .. amount) end
end

local function float_of(holder) return call('HGET', HOLDERS, holder .. ':float') or '0' end

-- Part of what is free becomes part of a float.
local function free_to_float(holder, amount)
  subtract(STATE, 'free', amount)
  add(STATE, 'floats', amount)
  add(HOLDERS, holder .. ':float', amount)
end

-- Part of a float becomes free.
local function float_to_free(holder, amount)
  subtract(HOLDERS, holder .. ':float', amount)
  subtract(STATE, 'floats', amount)
  add(STATE, 'free', amount)
end

local function float_ends(holder)
  float_to_free(holder, float_of(holder))
  call('HDEL', HOLDERS, holder .. ':float')
end

-- An error if a newer version of the program has had this account.
local function newer_schema()
  local schema = call('HGET', STATE, 'schema')
  if schema and tonumber(schema) > SCHEMA then
    return redis.error_reply('TGNEWER this account is of schema ' .. schema)
  end
end

local function open_account()
  call('HSETNX', STATE, 'schema', SCHEMA)
end

-- Meters

local function read_meter(name)
  local stored = call('HMGET', METERS, name, name .. ':used', name .. ':recall_until')
  local meter = { window = 0, used = stored[2] or '0', recall_until = stored[3] or '0', lent = {}, all = 0 }
  if stored[1] then
    meter.window = tonumber(stored[1]:match('^%d+'))
    for holder, lent in stored[1]:gmatch(';([^=]+)=(%d+)') do
      meter.lent[holder] = tonumber(lent)
      meter.all = meter.all + tonumber(lent)
    end
  end
  return meter
end

local function write_meter(name, meter)
  local parts = { text(meter.window) }
  for holder, lent in pairs(meter.lent) do
    if lent > 0 then parts[#parts + 1] = holder .. '=' .. text(lent) end
  end
  call('HSET', METERS, name, table.concat(parts, ';'))
end

-- Rare (a holder ended), so that looking at every meter is cheaper than keeping an index.
local function forget_lent(holder)
  local mark = ';' .. holder .. '='
  local meters = call('HGETALL', METERS)
  for i = 1, #meters, 2 do
    if meters[i + 1]:find(mark, 1, true) then
      local meter = read_meter(meters[i])
      meter.lent[holder] = nil
      write_meter(meters[i], meter)
    end
  end
end

-- Grants

local function remaining_of(grant) return call('HGET', GRANTS, grant .. ':remaining') end

local function take_from_grant(grant, part)
  subtract(GRANTS, grant .. ':remaining', part)
  if remaining_of(grant) == '0' then call('ZREM', OPEN, grant) end
end

-- What was spent is owed until grants pay it: those that expire first, and of them the older.
local function pay_debt()
  while true do
    local debt, grant = get('debt'), call('ZRANGE', OPEN, 0, 0)[1]
    if debt == '0' or not grant then return end
    local part = least(debt, remaining_of(grant))
    subtract(STATE, 'debt', part)
    take_from_grant(grant, part)
  end
end

local function due_by(time)
  local due = call('ZRANGEBYSCORE', OPEN, '-inf', text(math.floor(time / 1000)))
  table.sort(due)
  return due
end

-- Grants that are due expire in the order of their creation, as far as nobody has borrowed them.
local function expire(now)
  local due = due_by(now.sure)
  for _, grant in ipairs(due) do
    local part = least(remaining_of(grant), or_zero(get('free')))
    if part == '0' then return end
    take_from_grant(grant, part)
    add(GRANTS, grant .. ':expired', part)
    add(STATE, 'expired', part)
    subtract(STATE, 'free', part)
  end
end

-- Leases

local function end_lease(holder, at)
  call('ZREM', LEASES, holder)
  call('ZADD', ENDED, text(at), holder)
end

local function begin_lease(holder, till)
  call('ZREM', ENDED, holder)
  call('ZADD', LEASES, text(till), holder)
end

local function forget_holder(holder)
  call('HDEL', HOLDERS, holder, holder .. ':mark', holder .. ':charged')
  local replica, epoch = holder:match('^(.*)%.(%d+)$')
  if replica and call('HGET', HOLDERS, replica .. ':newest') == epoch then
    call('HDEL', HOLDERS, replica .. ':newest')
  end
  call('ZREM', ENDED, holder)
end

-- Takes back what was lent for longer than its lease, and expires what is due.
local function tick(now)
  local longest = text(now.late + LONGEST)
  for _, holder in ipairs(call('ZRANGEBYSCORE', LEASES, '(' .. longest, '+inf')) do
    call('ZADD', LEASES, longest, holder)
  end
  local over = call('ZRANGEBYSCORE', LEASES, '-inf', text(now.sure), 'WITHSCORES')
  for i = 1, #over, 2 do
    float_ends(over[i])
    forget_lent(over[i])
    end_lease(over[i], tonumber(over[i + 1]))
  end
  for _, holder in ipairs(call('ZRANGEBYSCORE', ENDED, '-inf', text(now.sure - REMEMBERED))) do
    forget_holder(holder)
  end
  expire(now)
end
