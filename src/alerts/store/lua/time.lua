-- What scripts about alerts begin with: the server's time (Unix ms).
--
-- ALERTS  <n> -> <when> <channels, with commas> <document>; <n>:<channel> -> <state> <tries> <what was said>, where state
--         0 waits, 1 is sent, 2 is given up
-- NAMES   what is not raised again, scored by the end of that
-- COUNT   the last number
-- DUE     of one channel: the numbers that wait, scored by when they are due
local call = redis.call

local function text(number) return string.format('%.0f', number) end

local function now()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
