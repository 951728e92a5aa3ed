-- Forgets meters, if nobody has begun another window of theirs since: ARGV is a name and the start of its window, again
-- and again.
local METERS = KEYS[1]

for i = 1, #ARGV, 2 do
  local name = ARGV[i]
  local stored = redis.call('HGET', METERS, name)
  if stored and stored:match('^%d+') == ARGV[i + 1] then
    redis.call('HDEL', METERS, name, name .. ':used', name .. ':recall_until')
  end
end
return 0
