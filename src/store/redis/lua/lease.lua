-- A name is leased until ARGV[2] (Unix time, ms). The longest wins, and the ended are forgotten.
local UNTIL, SAID = KEYS[1], KEYS[2]
local name, till, said = ARGV[1], ARGV[2], ARGV[3]

local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
for _, ended in ipairs(redis.call('ZRANGEBYSCORE', UNTIL, '-inf', now)) do
  redis.call('ZREM', UNTIL, ended)
  redis.call('HDEL', SAID, ended)
end
if tonumber(till) <= tonumber(now) then return 0 end
if redis.call('ZADD', UNTIL, 'GT', 'CH', till, name) == 0 then return 0 end
redis.call('HSET', SAID, name, said)
return 1
