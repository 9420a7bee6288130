-- wrk reads the request from its arguments and prints its measurements as one line of JSON, in microseconds.
-- Arguments: METHOD CONNECTION CONTENT_BYTES FIELDS (CONNECTION is "close" for a new connection per request; FIELDS is
-- "browser" for what nginx passes on from browsers, in 499 heads of 14 fields of which 4 differ, and else "few").
local BROWSER = table.concat({
  "X-Real-IP: 192.0.2.%d", "X-Forwarded-For: 192.0.2.%d", "X-Forwarded-Proto: https",
  "X-Request-ID: 0123456789abcdef01234567%08x",
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
  "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "Accept-Language: en-GB,en;q=0.5",
  "Accept-Encoding: gzip, deflate, br, zstd",
  "Cookie: sessionid=0123456789abcdef0123456789ab%04x; csrftoken=0123456789abcdef0123456789abcdef",
  "Upgrade-Insecure-Requests: 1", "Sec-Fetch-Dest: document", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: same-origin",
}, "\r\n")
local HEADS = 499

local method, connection, content_bytes
local heads, count = {}, 0

local function make_heads()
  for i = 0, HEADS - 1 do
    local line = string.format("GET %s?page=%d HTTP/1.1\r\nHost: %s:%s\r\n", wrk.path, i, wrk.host, wrk.port)
    heads[i] = line .. string.format(BROWSER, i % 250, i % 250, i, i) .. "\r\n\r\n"
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
  request_bytes = wrk.format(method, nil, fields, body)
  if args[4] == "browser" then
    make_heads()
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
