-- wrk reads the request from its arguments and prints its measurements as one line of JSON, in microseconds.
-- Arguments: METHOD CONNECTION CONTENT_BYTES (CONNECTION is "close" for a new connection per request).
local method, connection, content_bytes

function init(args)
  method, connection, content_bytes = args[1], args[2], tonumber(args[3])
  local fields = { ["Connection"] = connection }
  local body = nil
  if content_bytes > 0 then
    body = string.rep("0123456789abcdef", content_bytes / 16)
    fields["Content-Type"] = "application/octet-stream"
  end
  if connection ~= "close" then fields["Connection"] = nil end
  request_bytes = wrk.format(method, nil, fields, body)
end

function request() return request_bytes end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'BENCH {"requests":%d,"bytes":%d,"microseconds":%d,"p50":%.1f,"p90":%.1f,"p99":%.1f,"max":%.1f,' ..
    '"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n',
    summary.requests, summary.bytes, summary.duration, latency:percentile(50), latency:percentile(90),
    latency:percentile(99), latency.max, errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
