-- wrk script: sends the credentials of a file in order, one line a request: `token` or `token<TAB>proof`.
local credentials, position = {}, 0

function init(arguments)
  if arguments[1] == nil then return end
  for line in io.lines(arguments[1]) do
    local token, proof = line:match("^([^\t]+)\t?(.*)$")
    if proof ~= "" then
      credentials[#credentials + 1] = { ["Authorization"] = "DPoP " .. token, ["DPoP"] = proof }
    else
      credentials[#credentials + 1] = { ["Authorization"] = "Bearer " .. token }
    end
  end
end

function request()
  if #credentials == 0 then return wrk.format("GET") end
  position = position % #credentials + 1
  return wrk.format("GET", nil, credentials[position])
end
