-- Of the batches of events that end between ARGV[2] and ARGV[1], the newest first, looks at ARGV[4] after the first ARGV[3]:
-- says how many there were, when the last of them ended, how many ended then, and which begin by ARGV[5].

-- How much later than others a replica may tell of its events (ms).
local LATE = 60 * 60 * 1000

-- When the last batch ends that can begin by a time: none is longer than the longest, but for those of older versions, which
-- do not say it. All after `unindexed` are of this one, if the last one is.
local function last_end(by)
  local told, indexed, longest, unindexed = unpack(redis.call('HMGET', KEYS[2], 'events', 'indexed', 'longest', 'unindexed'))
  if told ~= indexed or not longest then return '+inf' end
  local last = tonumber(by) + tonumber(longest)
  if unindexed then last = math.max(last, tonumber(unindexed) + LATE) end
  return string.format('%.0f', last)
end

local highest = ARGV[1]
if highest == '+inf' then highest = last_end(ARGV[5]) end
local looked = redis.call('ZREVRANGEBYSCORE', KEYS[1], highest, ARGV[2], 'LIMIT', ARGV[3], ARGV[4])
local ended, same, found = '0', 0, {}
for _, batch in ipairs(looked) do
  local from, till = string.match(batch, '^%d+:(%d+):(%d+):')
  if till ~= ended then ended, same = till, 0 end
  same = same + 1
  if tonumber(from) <= tonumber(ARGV[5]) then found[#found + 1] = batch end
end
return { #looked, ended, same, found }
