-- Daily totals of one kind, of the days ARGV[1] to ARGV[2], at most ARGV[4] after the first ARGV[3]: of all rows the name and the
-- counters, one after another, and then the costs.
local COSTS, ROLLUPS, DAYS = KEYS[1], KEYS[2], KEYS[3]

local rows = redis.call('ZRANGEBYSCORE', DAYS, ARGV[1], ARGV[2], 'LIMIT', ARGV[3], ARGV[4])
if #rows == 0 then return { {}, {} } end
-- One question for all of them takes half the time of one each.
local counters = { '', ':requests', ':failed', ':orphaned', ':input', ':cached_read', ':cache_write', ':output', ':reasoning' }
local fields = {}
for _, row in ipairs(rows) do
  for _, counter in ipairs(counters) do fields[#fields + 1] = row .. counter end
end
return { redis.call('HMGET', ROLLUPS, unpack(fields)), redis.call('HMGET', COSTS, unpack(rows)) }
