-- What is leased now: name, until (Unix time, ms), what was said of it, and so on.
local UNTIL, SAID = KEYS[1], KEYS[2]

local time = redis.call('TIME')
local now = string.format('(%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local found, leased = redis.call('ZRANGEBYSCORE', UNTIL, now, '+inf', 'WITHSCORES'), {}
for i = 1, #found, 2 do
  leased[#leased + 1] = {
    found[i], string.format('%.0f', tonumber(found[i + 1])), redis.call('HGET', SAID, found[i]) or '',
  }
end
return leased
