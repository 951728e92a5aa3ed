-- Writes, if the store is at the revision ARGV[1] still and has not seen the commit ARGV[2] yet: ARGV[4] resources,
-- for each its name and its document ('' deletes), and what is left for the audit log. Then tells the channel
-- ARGV[3]. Answers whether it is stored, and the revision.
--
-- STORE      schema, revision, floor: deletions up to this revision are forgotten
-- RESOURCES  <kind>/<id> -> <revision> <document>
-- REVISIONS  <kind>/<id>, deleted ones included, scored by the revision that wrote it
-- DELETED    those of them that are deleted
-- COMMITS    the last ones, scored by the revision that they made
-- AUDIT      the audit log
local STORE, RESOURCES, REVISIONS, DELETED, COMMITS, AUDIT = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local expected, id, channel, count = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

local REMEMBERED_COMMITS = 10000
local REMEMBERED_DELETIONS = 10000

local call = redis.call
local function text(number) return string.format('%.0f', number) end

local schema = call('HGET', STORE, 'schema')
if schema and tonumber(schema) > 1 then
  return redis.error_reply('TGNEWER the resources are of schema ' .. schema)
end
local made = call('ZSCORE', COMMITS, id)
if made then return { 1, text(made) } end
local revision = call('HGET', STORE, 'revision') or '0'
if revision ~= expected then return { 0, revision } end
local next = text(revision + 1)

for i = 5, 3 + 2 * count, 2 do
  local name, document = ARGV[i], ARGV[i + 1]
  call('ZADD', REVISIONS, next, name)
  if document == '' then
    call('HDEL', RESOURCES, name)
    call('ZADD', DELETED, next, name)
  else
    call('HSET', RESOURCES, name, next .. ' ' .. document)
    call('ZREM', DELETED, name)
  end
end
for i = 5 + 2 * count, #ARGV do call('XADD', AUDIT, '*', 'body', ARGV[i]) end

-- All but the last deletions are forgotten, whole revisions of them.
local last = call('ZREVRANGE', DELETED, REMEMBERED_DELETIONS, REMEMBERED_DELETIONS, 'WITHSCORES')
if last[2] then
  local floor = text(last[2])
  for _, name in ipairs(call('ZRANGEBYSCORE', DELETED, '-inf', floor)) do call('ZREM', REVISIONS, name) end
  call('ZREMRANGEBYSCORE', DELETED, '-inf', floor)
  call('HSET', STORE, 'floor', floor)
end
call('ZADD', COMMITS, next, id)
call('ZREMRANGEBYSCORE', COMMITS, '-inf', text(revision + 1 - REMEMBERED_COMMITS))
call('HSET', STORE, 'schema', 1, 'revision', next)
-- A user who may not tell it is no reason to fail: everybody asks from time to time.
redis.pcall('PUBLISH', channel, next)
return { 1, next }
