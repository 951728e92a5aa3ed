-- The provider keys that cool down now: key, until (Unix time, ms), reason, and so on.
local UNTIL, REASONS = KEYS[1], KEYS[2]

local time = redis.call('TIME')
local now = string.format('(%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local found, cooling = redis.call('ZRANGEBYSCORE', UNTIL, now, '+inf', 'WITHSCORES'), {}
for i = 1, #found, 2 do
  cooling[#cooling + 1] = {
    found[i], string.format('%.0f', tonumber(found[i + 1])), redis.call('HGET', REASONS, found[i]) or '',
  }
end
return cooling
