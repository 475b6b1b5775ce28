-- wrk script: posts the JSON of a file.
function init(arguments)
  wrk.method, wrk.body = "POST", io.open(arguments[1]):read("*a")
  wrk.headers["Content-Type"] = "application/json"
end
