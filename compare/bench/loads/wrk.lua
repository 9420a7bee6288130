-- wrk reads the request from its arguments and prints its measurements as one line of JSON, in microseconds.
-- Arguments: METHOD CONNECTION CONTENT_BYTES PIPELINED FIELDS (CONNECTION is "close" for a new connection per request;
-- PIPELINED requests are sent together; FIELDS are a browser's, for 499 heads that differ in four of them, or empty).
local HEADS = 499

local method, connection, content_bytes
local heads, count = {}, 0

local function make_heads(fields)
  for i = 0, HEADS - 1 do
    local line = string.format("GET %s?page=%d HTTP/1.1\r\nHost: %s:%s\r\n", wrk.path, i, wrk.host, wrk.port)
    heads[i] = line .. string.format(fields, i % 250, i % 250, i, i) .. "\r\n\r\n"
  end
end

function init(args)
  method, connection, content_bytes = args[1], args[2], tonumber(args[3])
  local fields = { ["Connection"] = connection }
  local body = nil
  if content_bytes > 0 then
    body = string.rep("0123456789abcdef", content_bytes / 16)
    fields["Content-Type"] = "application/octet-stream"
  end
  if connection ~= "close" then fields["Connection"] = nil end
  request_bytes = string.rep(wrk.format(method, nil, fields, body), tonumber(args[4]))
  if args[5] ~= "" then
    make_heads(args[5])
    request = next_head
  end
end

function request() return request_bytes end

function next_head()
  count = (count + 1) % HEADS
  return heads[count]
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'BENCH {"requests":%d,"bytes":%d,"microseconds":%d,"p50":%.1f,"p90":%.1f,"p99":%.1f,"max":%.1f,' ..
    '"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n',
    summary.requests, summary.bytes, summary.duration, latency:percentile(50), latency:percentile(90),
    latency:percentile(99), latency.max, errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
