-- wrk's script: posts FILE as TYPE, with headers NAME VALUE, its arguments. The outcome is one line of JSON.
function init(arguments)
   wrk.method = "POST"
   local file = io.open(arguments[1], "rb")
   wrk.body = file:read("*a")
   file:close()
   wrk.headers["Content-Type"] = arguments[2]
   for i = 3, #arguments, 2 do
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
