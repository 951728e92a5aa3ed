-- Of the batches of events that end between ARGV[2] and ARGV[1], the newest first, looks at ARGV[4] after the first ARGV[3]:
-- says how many there were, when the last of them ended, how many ended then, and which begin by ARGV[5].
local looked = redis.call('ZREVRANGEBYSCORE', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', ARGV[3], ARGV[4])
local ended, same, found = '0', 0, {}
for _, batch in ipairs(looked) do
  local from, till = string.match(batch, '^%d+:(%d+):(%d+):')
  if till ~= ended then ended, same = till, 0 end
  same = same + 1
  if tonumber(from) <= tonumber(ARGV[5]) then found[#found + 1] = batch end
end
return { #looked, ended, same, found }
