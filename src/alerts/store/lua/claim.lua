-- Claims what has waited longest to be sent to the channel ARGV[1], for ARGV[2] ms. Answers its number, the alert and how
-- often it was claimed; nothing if nothing is due.
local ALERTS, DUE = KEYS[1], KEYS[2]

local at = now()
while true do
  local number = call('ZRANGEBYSCORE', DUE, '-inf', text(at), 'LIMIT', 0, 1)[1]
  if not number then return {} end
  local field = number .. ':' .. ARGV[1]
  local record, state = call('HGET', ALERTS, number), call('HGET', ALERTS, field)
  local tries, said
  if state then tries, said = state:match('^0 (%d+) (.*)$') end
  if record and tries then
    tries = text(tonumber(tries) + 1)
    call('HSET', ALERTS, field, '0 ' .. tries .. ' ' .. said)
    call('ZADD', DUE, text(at + tonumber(ARGV[2])), number)
    return { number, record, tries }
  end
  call('ZREM', DUE, number)
end
