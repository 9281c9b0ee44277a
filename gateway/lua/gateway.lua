-- What the filters after this one can't do: see "Needs Lua" in gateway/README.md.
local LIMIT = 10 * 1024 * 1024 + 65536  -- bytes: a 10 MB file and its multipart wrapping

-- Only a gateway may say these; x-http-code and x-assay-* are also how services speak to it.
local OURS = { ["x-http-code"] = true, ["x-internal-service"] = true, ["x-native-grpc"] = true }

local function names_where(headers, unwanted)
  local names = {}
  for name in pairs(headers) do
    if unwanted(name) then names[#names + 1] = name end
  end
  return names
end

local function is_grpc(headers)
  return string.find(headers:get("content-type") or "", "^application/grpc") ~= nil
end

function envoy_on_request(h)
  local headers = h:headers()
  for _, name in ipairs(names_where(headers, function(n) return OURS[n] or n:find("^x%-assay%-") end)) do headers:remove(name) end
  -- said here, since the transcoder rewrites content-type before it refuses a body
  if is_grpc(headers) then headers:add("x-native-grpc", "1") return end
  local length = tonumber(headers:get("content-length") or "0") or 0
  if length > LIMIT then h:respond({ [":status"] = "413" }, "the body is larger than 10 MB") return end
  local path, query = string.match(headers:get(":path"), "^([^?]*)(.*)$")
  local stripped = string.match(path, "^(.*[^/])/+$")
  if stripped then headers:replace(":path", stripped .. query) end
end

function envoy_on_response(h)
  local headers = h:headers()
  for _, name in ipairs(names_where(headers, function(n) return n:find("^x%-envoy%-") or n:find("^x%-assay%-") end)) do headers:remove(name) end
  if is_grpc(headers) then return end
  for _, name in ipairs(names_where(headers, function(n) return n:find("^grpc%-") end)) do headers:remove(name) end
  local status = headers:get("x-http-code")
  if not status then return end
  headers:replace(":status", status)
  headers:remove("x-http-code")
  if status == "204" then
    local body = h:body()
    if body then body:setBytes("") end
    h:headers():remove("content-length")  -- asked for again: body() waits, and ends the life of headers
    h:headers():remove("content-type")
  end
end
