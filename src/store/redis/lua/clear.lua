-- The provider keys of ARGV cool down no more; without any, none does.
local UNTIL, REASONS = KEYS[1], KEYS[2]

if #ARGV == 0 then
  redis.call('DEL', UNTIL, REASONS)
end
for _, key in ipairs(ARGV) do
  redis.call('ZREM', UNTIL, key)
  redis.call('HDEL', REASONS, key)
end
return 1
