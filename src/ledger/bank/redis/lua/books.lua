-- An account's books: nine totals, its grants, its floats.
local COSTS = KEYS[8]

-- More daily totals than these are not added up here, while everybody waits: whoever verifies reads them in pages.
local ADDED_UP = 1000

-- The costs of all daily totals together, added up anew. Nine digits at a time, as doubles would round.
local function sum_of_costs()
  if call('HLEN', COSTS) > ADDED_UP then return get('rolled_up') end
  local high, low = 0, 0
  for _, cost in ipairs(call('HVALS', COSTS)) do
    high = high + (tonumber(cost:sub(1, -10)) or 0)
    low = low + tonumber(cost:sub(-9))
  end
  high, low = high + math.floor(low / 1e9), low % 1e9
  if high == 0 then return text(low) end
  return string.format('%.0f%09.0f', high, low)
end

local function all_grants()
  local grants = {}
  for n = 1, tonumber(get('grants')) do
    local grant = string.format('%010.0f', n)
    grants[n] = call('HMGET', GRANTS, grant .. ':id', grant .. ':amount', grant .. ':remaining',
      grant .. ':expired', grant .. ':created', grant .. ':expires', grant .. ':note')
  end
  return grants
end

local function all_floats()
  local leases, floats = call('ZRANGE', LEASES, 0, -1, 'WITHSCORES'), {}
  for i = 1, #leases, 2 do
    local holder = leases[i]
    floats[#floats + 1] = { holder, float_of(holder), call('HGET', HOLDERS, holder), text(tonumber(leases[i + 1])) }
  end
  return floats
end

local newer = newer_schema()
if newer then return newer end
tick(clock())
return {
  get('granted'), get('spent'), get('expired'), get('free'), get('debt'), get('rolled_up'), sum_of_costs(),
  all_grants(), all_floats(),
}
