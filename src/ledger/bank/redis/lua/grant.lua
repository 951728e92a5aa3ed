-- Puts credits into an account, once per grant id. Answers 1, or 0 if the account has this grant.
local id, amount, expires_after, note = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local newer = newer_schema()
if newer then return newer end
local now = clock()
tick(now)
if call('HEXISTS', GRANTS, 'id:' .. id) == 1 then return 0 end
if tonumber(get('granted')) + tonumber(amount) > TOO_MUCH then
  return redis.error_reply('TGREFUSED the grants of this account are more than can be counted')
end

open_account()
add(STATE, 'granted', amount)
add(STATE, 'free', amount)

-- Padded, so that grants which expire together are spent in the order of their creation.
local grant = string.format('%010.0f', call('HINCRBY', STATE, 'grants', 1))
local created = math.floor(now.told / 1000)
local expires = ''
if expires_after ~= '' then expires = text(created + tonumber(expires_after)) end
call('HSET', GRANTS, 'id:' .. id, grant,
  grant .. ':id', id, grant .. ':amount', amount, grant .. ':remaining', amount,
  grant .. ':expired', '0', grant .. ':created', text(created), grant .. ':expires', expires,
  grant .. ':note', note)
call('ZADD', OPEN, expires == '' and '+inf' or expires, grant)
pay_debt()
return 1
