-- Takes up to ARGV[3] tokens from the allowance KEYS[1], of which one comes free every ARGV[1]
-- microseconds and at most ARGV[2] are free at once. The value is the moment at which the
-- allowance is full again. Answers { granted, left, microseconds until the next one }.
local interval, burst, want = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local capacity = burst * interval

local known = tonumber(redis.call('GET', KEYS[1])) or now
-- A rate that changed, or a clock that was set back, must not lock the allowance for longer.
local full_at = math.max(now, math.min(known, now + capacity))

local free = math.floor((now + capacity - full_at) / interval)
local granted = math.min(want, free)
if granted > 0 or full_at < known then
  full_at = full_at + granted * interval
  local lives = math.ceil((full_at - now) / 1000) + 1
  redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', lives)
end
local wait = 0
if granted == free then
  wait = math.max(0, full_at + interval - now - capacity)
end
return { granted, free - granted, wait }
