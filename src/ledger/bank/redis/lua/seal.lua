-- Keeps parts of a day's totals sealed, unless the day was added to since they were read: ARGV is the day, how often it was
-- added to by then, and of each part its name and the part.
local SEALED, day, added = KEYS[1], ARGV[1], ARGV[2]

if (redis.call('HGET', SEALED, day) or '0') ~= added then return 0 end
redis.call('HSET', SEALED, day .. ':at', added)
for i = 3, #ARGV, 2 do redis.call('HSET', SEALED, day .. ':' .. ARGV[i], ARGV[i + 1]) end
return 1
