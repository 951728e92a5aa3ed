-- Daily totals of the days ARGV[1] to ARGV[2], at most ARGV[4] after the first ARGV[3]: for each row its name, its
-- counters, its cost.
local ROLLUPS, DAYS, COSTS = KEYS[1], KEYS[2], KEYS[3]

local rows = {}
for _, row in ipairs(redis.call('ZRANGEBYSCORE', DAYS, ARGV[1], ARGV[2], 'LIMIT', ARGV[3], ARGV[4])) do
  local fields = redis.call('HMGET', ROLLUPS, row, row .. ':requests', row .. ':failed', row .. ':orphaned',
    row .. ':input', row .. ':cached_read', row .. ':cache_write', row .. ':output', row .. ':reasoning')
  for i = 2, 9 do fields[i] = fields[i] or '0' end
  fields[10] = redis.call('HGET', COSTS, row)
  rows[#rows + 1] = fields
end
return rows
