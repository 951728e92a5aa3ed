-- The leases of the names in ARGV end; without any, all do.
local UNTIL, SAID = KEYS[1], KEYS[2]

if #ARGV == 0 then
  redis.call('DEL', UNTIL, SAID)
end
for _, name in ipairs(ARGV) do
  redis.call('ZREM', UNTIL, name)
  redis.call('HDEL', SAID, name)
end
return 1
