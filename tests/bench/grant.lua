-- wrk script: posts one form again and again, each time with the next proof of a file. After the last one it sends what is refused.
local form, proofs

function init(arguments)
  form, proofs = io.open(arguments[1]):read("*a"), io.open(arguments[2])
end

function request()
  local headers = { ["Content-Type"] = "application/x-www-form-urlencoded", ["DPoP"] = proofs:read("*l") or "exhausted" }
  return wrk.format("POST", nil, headers, form)
end
