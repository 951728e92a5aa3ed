-- Which days from ARGV[1] to ARGV[2] have totals of one kind: of each its number, how often it was added to, and its part
-- ARGV[3] if that is sealed and nothing was added since. Ends when there is much: whoever asks goes on after the last one. In
-- front: whether those are all.
local SEALED, DAYS = KEYS[1], KEYS[2]

-- Bytes, about, for which others wait.
local MUCH = 500000

local found, said, from = {}, 0, ARGV[1]
while said < MUCH do
  local next = redis.call('ZRANGEBYSCORE', DAYS, from, ARGV[2], 'WITHSCORES', 'LIMIT', 0, 1)
  if #next == 0 then return { 1, found } end
  local day = next[2]
  local stored = redis.call('HMGET', SEALED, day, day .. ':at', day .. ':' .. ARGV[3])
  local added = stored[1] or '0'
  local part = stored[2] == added and stored[3] or ''
  found[#found + 1] = { day, added, part }
  said, from = said + 100 + #part, '(' .. day
end
return { 0, found }
