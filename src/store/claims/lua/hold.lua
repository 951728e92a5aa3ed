-- Lets the claim hold for ARGV[4] ms from now; 0 releases the name. Answers whether it held.
if number_of(record) ~= ARGV[3] then return 0 end
local lease = tonumber(ARGV[4])
if lease == 0 then
  forget(ARGV[2])
else
  call('ZADD', DUE, text(at + lease), ARGV[2])
  outlive(lease)
end
return 1
