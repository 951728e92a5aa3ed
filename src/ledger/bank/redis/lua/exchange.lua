-- Applies a message of a till, unless its number was applied before, one before it is missing, or its holder's history
-- is another one; and answers with what is so now.
local COSTS, ROLLUPS, DAYS, SEALED, EVENTS, ID_DAYS, IDS = unpack(KEYS, 8, 14)
local TAG_COSTS, TAG_ROLLUPS, TAG_DAYS, TAG_SEALED = unpack(KEYS, 15, 18)

-- Values of one tag that a day tells apart.
local VALUES = 1000

-- Arguments are read one after another.
local at = 0
local function argument()
  at = at + 1
  return ARGV[at]
end
local function count() return tonumber(argument()) end

local holder, number, oldest = argument(), count(), count()
-- Of the message before this one, and its own; '0' is none.
local before, mark = argument(), argument()
local spent, returned, need, want = argument(), argument(), argument(), argument()
local lease, close = count(), argument() == '1'

local parts = {}
for i = 1, count() do
  parts[i] = {
    name = argument(), window = count(), limit = argument(),
    used = argument(), returned = count(), need = count(), want = count(),
  }
end

-- Takes a charge from the float, what is over it from what is free, and both from the grants that expire first.
local function charge()
  float_to_free(holder, least(spent, float_of(holder)))
  subtract(STATE, 'free', spent)
  add(STATE, 'spent', spent)
  add(STATE, 'debt', spent)
  pay_debt()
end

local function give_back() float_to_free(holder, least(returned, float_of(holder))) end

-- A quarter of what is free, rounded down; in two parts, as a double has no room for large amounts.
local function share_of(free)
  local high, low = split(free)
  local rest = high % SHARE
  local quarter = string.format('%.0f%06.0f', (high - rest) / SHARE, math.floor((rest * 1e6 + low) / SHARE))
  return (quarter:gsub('^0+(%d)', '%1'))
end

local function recalls(till, now)
  local left = tonumber(till) - now.told
  return left > 0 and left <= RECALL
end

local function recall(key, field, now) call('HSET', key, field, text(now.told + RECALL)) end

-- What is free of grants that have ended by what is told, and not by what is sure, is out of reach meanwhile.
local function without_doubtful(now, work)
  local parts = {}
  for i, grant in ipairs(now.told == now.sure and {} or due_by(now.told)) do
    parts[i] = least(remaining_of(grant), or_zero(get('free')))
    subtract(STATE, 'free', parts[i])
  end
  local result = work(now)
  for _, part in ipairs(parts) do add(STATE, 'free', part) end
  return result
end

-- Lends at least what is needed, if there is as much; beyond it, a fair share of what is free.
local function lend(now)
  local free = or_zero(get('free'))
  local asked = need
  if not recalls(get('recall_until'), now) then asked = most(need, least(share_of(free), want)) end
  local lent = least(asked, free)
  free_to_float(holder, lent)
  local others = get('floats') ~= float_of(holder)
  if others and (more(need, lent) or tonumber(get('free')) < 0) then recall(STATE, 'recall_until', now) end
end

-- How much of a limit is not used; exact below 2^53, which is where it decides.
local function unused(limit, used)
  local limit_high, limit_low = split(limit)
  local used_high, used_low = split(used)
  return (limit_high - used_high) * 1e6 + (limit_low - used_low)
end

local function use_meter(part, now)
  local meter = read_meter(part.name)
  -- A window begins when it is time, whatever the clock of who names it says.
  local latest = now.steady / 1000
  local function begin(window)
    meter = { window = window, recall_until = '0', lent = {}, all = 0 }
    call('HDEL', METERS, part.name .. ':used', part.name .. ':recall_until')
    write_meter(part.name, meter)
  end
  if meter.window > latest then begin(0) end
  if part.window < meter.window or part.window > latest then return end
  if part.window > meter.window then begin(part.window) end
  local mine = meter.lent[holder] or 0
  local others = meter.all - mine
  mine = mine - math.min(tonumber(part.used), mine)
  mine = mine - math.min(part.returned, mine)
  -- One that cannot count further stays as it is.
  redis.pcall('HINCRBY', METERS, part.name .. ':used', part.used)
  local used = call('HGET', METERS, part.name .. ':used')
  local free = math.max(unused(part.limit, used) - others - mine, 0)
  if not close then
    local asked = part.need
    if not recalls(meter.recall_until, now) then asked = math.max(asked, math.min(math.floor(free / SHARE), part.want)) end
    local lent = math.min(asked, free, MOST_UNITS - others - mine)
    mine = mine + lent
    if part.need > lent and others > 0 then recall(METERS, part.name .. ':recall_until', now) end
  end
  meter.lent[holder] = mine
  write_meter(part.name, meter)
end

-- Adds to daily totals. A row has a number; its name leads to it, and it to its name. Of `bounded` ones, which each say what
-- they are counted by, those that come too late are added to another row. How often a day was added to is counted, which breaks
-- its seal.
local function roll_up(rollups, days, costs, sealed, bounded)
  local changed
  local counters = { 'requests', 'failed', 'orphaned', 'input', 'cached_read', 'cache_write', 'output', 'reasoning' }
  for _ = 1, count() do
    local day, name = argument(), argument()
    local row = call('HGET', rollups, name)
    if day ~= changed then
      call('HINCRBY', sealed, day, 1)
      changed = day
    end
    if bounded then
      local counted, other = argument(), argument()
      if not row and call('HINCRBY', rollups, counted, 1) > VALUES then
        name, row = other, call('HGET', rollups, other)
      end
    end
    if not row then
      row = text(call('HINCRBY', rollups, 'rows', 1))
      call('HSET', rollups, name, row, row, name)
      call('ZADD', days, day, row)
    end
    for _, counter in ipairs(counters) do
      local plus = argument()
      -- One that cannot count further stays as it is.
      if plus ~= '0' then redis.pcall('HINCRBY', rollups, row .. ':' .. counter, plus) end
    end
    local cost = argument()
    call('HINCRBY', costs, row, cost)
    if not bounded then call('HINCRBY', STATE, 'rolled_up', cost) end
  end
end

-- A batch is found by when its last event ended; the number in front keeps equal batches apart. The ids of its requests are with
-- those of all batches that ended that day. After a batch that has none, as an older version's, no request is known to be
-- missing.
local function keep_events()
  if argument() == '0' then return end
  local events, from, till, bytes = argument(), argument(), argument(), argument()
  local day, ids = argument(), argument()
  local number = call('HINCRBY', STATE, 'events', 1)
  local batch = string.format('%016.0f', number)
  call('ZADD', EVENTS, till, table.concat({ batch, from, till, events, bytes }, ':'))
  local long = tonumber(till) - tonumber(from)
  if long >= tonumber(get('longest')) then call('HSET', STATE, 'longest', text(long)) end
  if ids ~= '' then
    call('APPEND', IDS, ids)
    call('ZADD', ID_DAYS, day, day)
    if call('HINCRBY', STATE, 'indexed', 1) == number then return end
    call('HSET', STATE, 'indexed', text(number))
  end
  call('HSET', STATE, 'unindexed', till)
end

local replica, epoch = holder:match('^(.*)%.(%d+)$')

-- The newest life of the holder's replica, from this one on.
local function newest()
  local known = call('HGET', HOLDERS, replica .. ':newest') or '0'
  if more(epoch, known) then return '0' end
  return known
end

local function apply(now)
  open_account()
  call('HSET', HOLDERS, holder, text(number))
  if mark ~= '0' then call('HSET', HOLDERS, holder .. ':mark', mark) end
  add(HOLDERS, holder .. ':charged', spent)
  if newest() == '0' then call('HSET', HOLDERS, replica .. ':newest', epoch) end
  charge()
  give_back()
  expire(now)
  if close then
    float_ends(holder)
    end_lease(holder, now.sure)
    expire(now)
  else
    without_doubtful(now, lend)
    begin_lease(holder, now.late + lease)
  end
  for _, part in ipairs(parts) do use_meter(part, now) end
  if close then forget_lent(holder) end
  roll_up(ROLLUPS, DAYS, COSTS, SEALED)
  roll_up(TAG_ROLLUPS, TAG_DAYS, TAG_COSTS, TAG_SEALED, true)
  keep_events()
end

local function answer(now)
  local reply = {
    call('HGET', HOLDERS, holder) or '0', float_of(holder), get('free'), get('floats'),
    recalls(get('recall_until'), now) and '1' or '0',
    call('HGET', HOLDERS, holder .. ':mark') or '0', call('HGET', HOLDERS, holder .. ':charged') or '0', newest(),
    text(now.steady),
  }
  for _, part in ipairs(parts) do
    local meter = read_meter(part.name)
    reply[#reply + 1] = text(meter.window)
    reply[#reply + 1] = text(meter.lent[holder] or 0)
    reply[#reply + 1] = meter.used
    reply[#reply + 1] = text(meter.all)
    reply[#reply + 1] = recalls(meter.recall_until, now) and '1' or '0'
  end
  return reply
end

local newer = newer_schema()
if newer then return newer end
if tonumber(get('spent')) + tonumber(spent) > TOO_MUCH then
  return redis.error_reply('TGREFUSED the charges of this account are more than can be counted')
end
local now = clock()
tick(now)
local expected = tonumber(call('HGET', HOLDERS, holder) or '0') + 1
local repeated = number < expected
local gap = number > expected and oldest <= expected
local known = call('HGET', HOLDERS, holder .. ':mark') or '0'
local foreign = number == expected and known ~= before and known ~= '0' and before ~= '0'
if not repeated and not gap and not foreign then apply(now) end
return without_doubtful(now, answer)
