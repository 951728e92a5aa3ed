-- Raises the alert ARGV[3] unless the first of its names holds, all of which hold until ARGV[1] then. It goes to the channels
-- ARGV[4], of which there are ARGV[5]; each follows, then the names. Of alerts the last ARGV[2] are kept. Answers its number,
-- or 0.
local ALERTS, NAMES, COUNT = KEYS[1], KEYS[2], KEYS[3]
local channels = tonumber(ARGV[5])
local first = 6 + channels

local at = now()
local holds = call('ZSCORE', NAMES, ARGV[first])
if holds and tonumber(holds) > at then return 0 end
call('ZREMRANGEBYSCORE', NAMES, '-inf', text(at))
for i = first, #ARGV do call('ZADD', NAMES, 'GT', ARGV[1], ARGV[i]) end

local number = call('INCR', COUNT)
call('HSET', ALERTS, text(number), text(at) .. ' ' .. ARGV[4] .. ' ' .. ARGV[3])
for i = 1, channels do
  call('HSET', ALERTS, text(number) .. ':' .. ARGV[5 + i], '0 0 ')
  call('ZADD', KEYS[3 + i], text(at), text(number))
end

local old = text(number - tonumber(ARGV[2]))
local record = call('HGET', ALERTS, old)
if record then
  call('HDEL', ALERTS, old)
  for channel in (record:match('^%d+ (%S*) ') or ''):gmatch('[^,]+') do call('HDEL', ALERTS, old .. ':' .. channel) end
end
return number
