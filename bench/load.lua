-- wrk's script: METHOD FILE TYPE [NAME VALUE]... as arguments; the outcome is one line of JSON on standard output.
function init(arguments)
   wrk.method = arguments[1]
   if arguments[2] ~= "-" then
      local file = io.open(arguments[2], "rb")
      wrk.body = file:read("*a")
      file:close()
      wrk.headers["Content-Type"] = arguments[3]
   end
   for i = 4, #arguments, 2 do
      wrk.headers[arguments[i]] = arguments[i + 1]
   end
end

function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "seconds": %.6f, "p50_ms": %.4f, "p90_ms": %.4f, "p99_ms": %.4f, "max_ms": %.4f, ' ..
      '"refused": %d, "broken": %d}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(90) / 1e3,
      latency:percentile(99) / 1e3, latency.max / 1e3, errors.status,
      errors.connect + errors.read + errors.write + errors.timeout))
end
