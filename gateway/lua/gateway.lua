-- What happens to a request before the transcoder, and to an answer after it. See "What Lua does" in gateway/README.md.

-- Headers by which gateway and services speak to each other: from a client they would be forged.
local PRIVATE = { "^x%-http%-code$", "^x%-internal%-service$", "^x%-native%-grpc$", "^x%-local%-reply$", "^x%-assay%-", "^x%-envoy%-" }
-- What means something to gRPC alone. A service refuses a call whose "-bin" headers are no base64, as a fault of its own.
-- Nor does it take a name with a letter that HTTP allows and gRPC doesn't.
local GRPC = { "^grpc%-", "%-bin$", "[^%l%d_.:-]" }

local function remove(headers, patterns)
  local unwanted = {}
  for name in pairs(headers) do  -- removed later: a map mustn't change while it is walked
    for _, pattern in ipairs(patterns) do
      if name:find(pattern) then unwanted[#unwanted + 1] = name end
    end
  end
  for _, name in ipairs(unwanted) do headers:remove(name) end
end

local function is_grpc(headers)
  return (headers:get("content-type") or ""):find("^application/grpc") ~= nil
end

-- local_reply_config in envoy.yaml makes the JSON of it.
local function answer(handle, status, message)
  handle:respond({ [":status"] = status }, message)
end

-- Returns the route of the request, after its URL was put right; nil if there is none, or if it was refused.
local function place(handle, headers)
  local path, query = (headers:get(":path") or ""):match("^([^?]*)%??(.*)$")  -- CONNECT has none
  local route, clean = url.route(headers:get(":method"), path)
  if not route then return nil end  -- the transcoder answers 404
  local kept, fault = url.query(route, query)
  if fault then answer(handle, "400", fault) return nil end
  headers:replace(":path", kept == "" and clean or clean .. "?" .. kept)
  return route
end

local function limit_of(route)
  return route and route.bulk and BULK_LIMIT or BODY_LIMIT
end

local function too_large(handle, route)
  answer(handle, "413", "the body is larger than " .. math.floor(limit_of(route) / 1048576) .. " MB")
end

local function check_json(handle, body, route)
  local text = body:getBytes(0, body:length())
  local passed, fault = json.check(text, route.body, route.bound)
  if fault then return answer(handle, "400", fault) end
  -- A lone number isn't over for the transcoder while a digit may follow: it would wait for ever.
  if passed:find("%d$") then passed = passed .. " " end
  if passed ~= text then body:setBytes(passed) end
end

local function check_body(handle, route)
  local body = handle:body()
  if not body or body:length() == 0 then return end
  if body:length() > limit_of(route) then return too_large(handle, route) end
  if not route.body then return body:setBytes("") end  -- the transcoder would read fields out of it
  if route.body.kind ~= "file" then check_json(handle, body, route) end
end

local function admit(handle, headers)
  -- A body that is only a little too large is read to its end: most clients read no answer before they have sent everything.
  local length = tonumber(headers:get("content-length") or "0") or 0
  local route = place(handle, headers)
  if length > READ_LIMIT then return too_large(handle, route) end
  if route then check_body(handle, route) end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  remove(headers, PRIVATE)
  -- said here, since the transcoder rewrites content-type before it refuses a body
  if is_grpc(headers) then headers:add("x-native-grpc", "1") return end
  remove(headers, GRPC)
  local ok, fault = pcall(admit, handle, headers)  -- without it Envoy would go on with a request that wasn't checked
  if ok then return end
  handle:logErr(tostring(fault))
  answer(handle, "500", "an internal error occurred")
end

-- Envoy's own words: one sentence of them, without pointers into the text and without the names of C++ types.
local function tidy(handle)
  local body = handle:body()
  if not body then return end
  local text = body:getBytes(0, body:length())
  local before, message, after = text:match('^(.*"message":")(.*)("%s*}%s*)$')
  if not message then return end
  message = message:gsub("\\n.*", ""):gsub("\\u000a.*", ""):gsub(" for type [%w_./]+$", ""):gsub("^: ", "")
  message = message:gsub("^.*oneof field '_[%w_]+' is already set%. Cannot set '([%w_]+)'$", "%1: is given more than once")
  message = message:gsub("^Payload Too Large$", "the body is too large")
  if message == "" then message = "the request is malformed" end
  body:setBytes(before .. message .. after)
  handle:headers():replace("content-length", tostring(#before + #message + #after))
end

local function empty(handle)
  local body = handle:body()
  if body then body:setBytes("") end
  handle:headers():remove("content-length")  -- asked for again: body() waits, and ends the life of headers
  handle:headers():remove("content-type")
end

-- CANCELLED though the client still waits: the server stopped before it took the call, or in the midst of it. Both may be tried again.
local function stopped(handle)
  handle:headers():replace(":status", "503")
  handle:headers():replace("retry-after", "1")
  handle:headers():replace("content-type", "application/json")
  local body = handle:body(true)
  if not body then return end
  local length = body:setBytes('{"code":14,"message":"the service can\'t be reached right now","details":[]}')
  handle:headers():replace("content-length", tostring(length))
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local status, is_local = headers:get("x-http-code"), headers:get("x-local-reply")
  remove(headers, PRIVATE)
  if is_grpc(headers) then return end
  remove(headers, GRPC)
  if headers:get(":status") == "499" and not is_local then return stopped(handle) end
  if status then headers:replace(":status", status) end
  if status == "204" then return empty(handle) end
  if is_local then return tidy(handle) end
  local trailers = handle:trailers()
  if trailers then remove(trailers, GRPC) end
end
