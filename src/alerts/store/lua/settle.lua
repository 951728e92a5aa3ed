-- The claim number ARGV[3] of the alert ARGV[1] for the channel ARGV[2] comes to the state ARGV[4], and what ARGV[6] says; if
-- it waits, for ARGV[5] ms. Answers whether that counts.
local ALERTS, DUE = KEYS[1], KEYS[2]

local field = ARGV[1] .. ':' .. ARGV[2]
local state = call('HGET', ALERTS, field)
if not state or state:match('^0 (%d+) ') ~= ARGV[3] then return 0 end
call('HSET', ALERTS, field, ARGV[4] .. ' ' .. ARGV[3] .. ' ' .. ARGV[6])
if ARGV[4] == '0' then
  call('ZADD', DUE, text(now() + tonumber(ARGV[5])), ARGV[1])
else
  call('ZREM', DUE, ARGV[1])
end
return 1
