-- Arguments: method, bytes of request body. Ends with one line of JSON that `load.py` reads.
function init(arguments)
  wrk.method = arguments[1]
  local bytes = tonumber(arguments[2])
  if bytes > 0 then wrk.body = string.rep("x", bytes) end
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '{"requests": %d, "bytes": %d, ' ..
    '"errors": {"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\n',
    summary.requests, summary.bytes, e.connect, e.read, e.write, e.status, e.timeout))
end
