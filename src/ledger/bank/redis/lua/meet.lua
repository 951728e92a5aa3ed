-- A process introduces itself and accounts that it will ask about, once for each connection.
local MARKER, ACCOUNTS = KEYS[1], KEYS[2]

local schema = redis.call('GET', MARKER)
if schema and tonumber(schema) > 1 then
  return redis.error_reply('TGNEWER the ledger is of schema ' .. schema)
end
if not schema then redis.call('SET', MARKER, 1) end
-- One by one: Lua hands over some thousand arguments at most.
for _, account in ipairs(ARGV) do redis.call('SADD', ACCOUNTS, account) end
return 1
