-- What changed after the revision ARGV[1], which this caller had from the commit ARGV[2] ('' if it does not know);
-- without a revision, only where the store is. At most ARGV[3] resources, after the first ARGV[4].
-- Answers the revision, the commit that made it, whether the changes are known, and for each resource its name, its
-- revision, and its document (nil: it was deleted).
local STORE, RESOURCES, REVISIONS, COMMITS = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local asked, mark = tonumber(ARGV[1]), ARGV[2]

local head = redis.call('HMGET', STORE, 'schema', 'revision', 'floor')
if head[1] and tonumber(head[1]) > 1 then
  return redis.error_reply('TGNEWER the resources are of schema ' .. head[1])
end
local revision, floor = tonumber(head[2] or 0), tonumber(head[3] or 0)
local answer = { head[2] or '0', redis.call('ZRANGE', COMMITS, -1, -1)[1] or '', 0, {} }
if not asked or asked > revision or asked < floor then return answer end
-- A server that lost commits has made others with the same numbers.
if mark ~= '' and tonumber(redis.call('ZSCORE', COMMITS, mark) or -1) ~= asked then return answer end
if asked < revision then
  local names = redis.call('ZRANGEBYSCORE', REVISIONS, '(' .. ARGV[1], '+inf', 'LIMIT', ARGV[4], ARGV[3])
  for i, name in ipairs(names) do
    local stored = redis.call('HGET', RESOURCES, name)
    if stored then
      local at = stored:find(' ', 1, true)
      answer[4][i] = { name, stored:sub(1, at - 1), stored:sub(at + 1) }
    else
      answer[4][i] = { name, string.format('%.0f', redis.call('ZSCORE', REVISIONS, name)) }
    end
  end
end
answer[3] = 1
return answer
