-- Keeps ARGV[4] as what came of the claim, for ARGV[5] ms; of all that is kept ARGV[6] names and ARGV[7] bytes at most. Answers
-- whether the claim held.
if number_of(record) ~= ARGV[3] then return 0 end
local kept = record:sub(1, 64) .. ' ' .. IS_KEPT .. ' ' .. ARGV[4]
local function is_full()
  local names = call('ZCARD', KEPT)
  local size = tonumber(call('GET', SIZE) or 0) + #kept
  return names > 0 and (names >= tonumber(ARGV[6]) or size > tonumber(ARGV[7]))
end
while is_full() do forget(call('ZRANGE', KEPT, 0, 0)[1]) end

local time = tonumber(ARGV[5])
call('HSET', NAMES, ARGV[2], kept)
call('ZADD', DUE, text(at + time), ARGV[2])
call('ZADD', KEPT, text(at), ARGV[2])
call('INCRBY', SIZE, text(#kept))
outlive(time)
return 1
