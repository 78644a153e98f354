-- One call, again and again, for wrk: body and headers from the environment, the figures as one line at the end.
local function read(path)
  local file = assert(io.open(path, 'rb'))
  local text = file:read('*a')
  file:close()
  return text
end

wrk.method = 'POST'
wrk.body = read(os.getenv('BENCH_BODY'))
for line in read(os.getenv('BENCH_HEADERS')):gmatch('[^\n]+') do
  local name, value = line:match('^(%S+): (.*)$')
  wrk.headers[name] = value
end

local prepared
function init()
  prepared = wrk.format()
end

function request()
  return prepared
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('FIGURES {"calls":%d,"micros":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
