-- Notes when credentials were last used: for each its id and a Unix time (ms). The latest wins.
local LAST_USED = KEYS[1]

for i = 1, #ARGV, 2 do
  local id, at = ARGV[i], ARGV[i + 1]
  local known = redis.call('HGET', LAST_USED, id)
  if not known or tonumber(known) < tonumber(at) then redis.call('HSET', LAST_USED, id, at) end
end
return 1
