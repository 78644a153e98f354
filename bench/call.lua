-- The same requests in turn, again and again, for wrk. From the environment: how many there are, what the names of their
-- files begin with, and what every answer must have in it, unless that is empty. The figures are one line at the end.
local function read(path)
  local file = assert(io.open(path, 'rb'))
  local text = file:read('*a')
  file:close()
  return text
end

local requests = {}
for number = 1, tonumber(os.getenv('BENCH_REQUESTS')) do
  requests[number] = read(os.getenv('BENCH_REQUEST') .. number)
end

local last = 0
function request()
  last = last % #requests + 1
  return requests[last]
end

-- Threads have globals of their own; `done` runs beside them.
local threads = {}
function setup(thread)
  threads[#threads + 1] = thread
end

wrong = 0
local expected = os.getenv('BENCH_EXPECT')
if expected ~= '' then
  function response(_, _, body)
    if not body:find(expected, 1, true) then wrong = wrong + 1 end
  end
end

function done(summary, latency)
  local errors = summary.errors
  local wrongs = 0
  for _, thread in ipairs(threads) do wrongs = wrongs + thread:get('wrong') end
  io.write(string.format(
    'FIGURES {"calls":%d,"micros":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d,"wrong":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout, wrongs))
end
