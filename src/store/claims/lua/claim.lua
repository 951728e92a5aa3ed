-- Claims the name for ARGV[4] for ARGV[5] ms, if it is free. Answers what it was found to be, and what is kept of it.
if record then
  if record:sub(1, 64) ~= ARGV[4] then return { 'differs', '' } end
  if number_of(record) == IS_KEPT then return { 'kept', record:sub(83) } end
  if number_of(record) ~= ARGV[3] then return { 'busy', '' } end
end
local lease = tonumber(ARGV[5])
call('HSET', NAMES, ARGV[2], ARGV[4] .. ' ' .. ARGV[3] .. ' ')
call('ZADD', DUE, text(at + lease), ARGV[2])
outlive(lease)
return { 'yes', '' }
