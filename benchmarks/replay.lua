-- Replays prepared requests: a line each of METHOD, path, headers (name: value, joined by |) and body, between tabs.
-- {n} in headers or body becomes a text that no other request has.
local requests = {}
local at = 0
local threads = 0

function setup(one)
  one:set("thread", threads)
  threads = threads + 1
end

function init(arguments)
  for line in io.lines(arguments[1]) do
    local method, path, headers, body = line:match("^([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)$")
    local named = {}
    for name, value in headers:gmatch("([^|:]+): ([^|]+)") do named[name] = value end
    local formatted = wrk.format(method, path, named, body ~= "" and body or nil)
    requests[#requests + 1] = { text = formatted, unique = formatted:find("{n}", 1, true) ~= nil }
  end
  at = tonumber(arguments[2] or "0") + thread * math.floor(#requests / 2)
end

function request()
  at = at + 1
  local one = requests[at % #requests + 1]
  -- Ten digits, so that no length changes: the placeholder stands in headers, whose length nobody counts.
  if one.unique then return (one.text:gsub("{n}", string.format("%d-%010d", thread, at))) end
  return one.text
end

function done(summary, latency)
  local failed = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.6f, "failed": %d, "p50": %.6f, "p99": %.6f}\n', summary.requests,
    summary.duration / 1e6, failed, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6))
end
