-- wrk script: posts the forms of a file in order, one a line. After the last one it sends what is refused.
local forms, path
local headers = { ["Content-Type"] = "application/x-www-form-urlencoded" }

function init(arguments)
  forms, path = io.open(arguments[1]), arguments[2]
end

function request()
  return wrk.format("POST", path, headers, forms:read("*l") or "exhausted")
end
