-- What scripts about an account's names begin with: the server's time (Unix ms), and what has ended by it. ARGV[1] is how much of
-- that is forgotten at a time, ARGV[2] the name, ARGV[3] the claim's number.
--
-- NAMES   <name> -> <what it is for, 64 characters> <the claim's number, or dashes once it is kept> <what came of it>
-- DUE     names, scored by when they end
-- KEPT    names that are kept, scored by when they were
-- SIZE    bytes in NAMES of those that are kept
local call = redis.call
local NAMES, DUE, KEPT, SIZE = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local IS_KEPT = ('-'):rep(16)

local function text(number) return string.format('%.0f', number) end

local function forget(name)
  if call('ZREM', KEPT, name) == 1 then call('DECRBY', SIZE, text(call('HSTRLEN', NAMES, name))) end
  call('HDEL', NAMES, name)
  call('ZREM', DUE, name)
end

local function number_of(record) return record and record:sub(66, 81) end

-- What an idle account has goes by itself.
local function outlive(ms)
  for _, key in ipairs(KEYS) do
    if call('PTTL', key) < ms then call('PEXPIRE', key, text(ms)) end
  end
end

local time = call('TIME')
local at = time[1] * 1000 + math.floor(time[2] / 1000)
local ended = call('ZSCORE', DUE, ARGV[2])
if ended and tonumber(ended) <= at then forget(ARGV[2]) end
for _, name in ipairs(call('ZRANGEBYSCORE', DUE, '-inf', text(at), 'LIMIT', 0, ARGV[1])) do forget(name) end
local record = call('HGET', NAMES, ARGV[2])
