-- wrk reads the request from its arguments, and writes what it measured as one line of JSON, in microseconds.
-- Arguments: METHOD CONNECTION CONTENT_OCTETS ("close" asks for a new connection each time).
local method, connection, octets

function init(args)
  method, connection, octets = args[1], args[2], tonumber(args[3])
  local fields = { ["Connection"] = connection }
  local body = nil
  if octets > 0 then
    body = string.rep("0123456789abcdef", octets / 16)
    fields["Content-Type"] = "application/octet-stream"
  end
  if connection ~= "close" then fields["Connection"] = nil end
  request_octets = wrk.format(method, nil, fields, body)
end

function request() return request_octets end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'BENCH {"requests":%d,"octets":%d,"microseconds":%d,"p50":%.1f,"p90":%.1f,"p99":%.1f,"max":%.1f,' ..
    '"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n',
    summary.requests, summary.bytes, summary.duration, latency:percentile(50), latency:percentile(90),
    latency:percentile(99), latency.max, errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
