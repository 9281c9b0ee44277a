-- Finds the route of a URL, and takes out of the URL what the transcoder would read wrongly: query parameters win over the
-- path there, the query fills fields even where the body is the whole message, and bytes that are no UTF-8 pass.
local url = {}

local UTF8 = {
  "^[%z\1-\127]+", "^[\194-\223][\128-\191]", "^\224[\160-\191][\128-\191]", "^[\225-\236\238\239][\128-\191][\128-\191]",
  "^\237[\128-\159][\128-\191]", "^\240[\144-\191][\128-\191][\128-\191]", "^[\241-\243][\128-\191][\128-\191][\128-\191]",
  "^\244[\128-\143][\128-\191][\128-\191]",
}

local function is_utf8(text)
  local at = 1
  while at <= #text do
    local last
    for _, form in ipairs(UTF8) do
      last = last or select(2, string.find(text, form, at))
    end
    if not last then return false end
    at = last + 1
  end
  return true
end

local function unescape(text)
  return (text:gsub("%%(%x%x)", function(code) return string.char(tonumber(code, 16)) end))
end

local function segments_of(path)
  local segments = {}
  for segment in path:gmatch("[^/]+") do segments[#segments + 1] = segment end
  return segments
end

-- A tree of path segments: `words` by their text, `any` for a {field}; at its leaves routes by verb.
local function grow(tree, route)
  route.bound = {}
  for _, segment in ipairs(segments_of(route.path)) do
    local field = segment:match("^{(.*)}$")
    if field then
      route.bound[field] = true
      tree.any = tree.any or { words = {}, routes = {} }
      tree = tree.any
    else
      tree.words[segment] = tree.words[segment] or { words = {}, routes = {} }
      tree = tree.words[segment]
    end
  end
  tree.routes[route.verb] = route
end

local TREE = { words = {}, routes = {} }
for _, route in ipairs(ROUTES) do grow(TREE, route) end

-- Returns the route, and the places of its fields among the segments.
local function walk(tree, segments, verb, at, fields)
  if at > #segments then return tree.routes[verb], fields end
  local word = tree.words[segments[at]]
  if word then
    local route, found = walk(word, segments, verb, at + 1, fields)
    if route then return route, found end
  end
  if not tree.any then return nil end
  local more = { unpack(fields) }
  more[#more + 1] = at
  return walk(tree.any, segments, verb, at + 1, more)
end

-- Returns the route of a path and the path as it is to be passed on, or nil.
function url.route(verb, path)
  local segments = segments_of(path)
  local route, fields = walk(TREE, segments, verb, 1, {})
  if not route then return nil end
  for _, at in ipairs(fields) do
    -- A service answers the same to any id that it can't read; to this one too.
    local value = unescape(segments[at])
    if value:find("%z") or not is_utf8(value) then segments[at] = "-" end
  end
  return route, "/" .. table.concat(segments, "/")
end

local function fault_of(name, field, value, seen)
  if field.kind ~= "array" and seen[name] then return name .. ": is given more than once" end
  if not is_utf8(unescape(value)) then return name .. ": must be UTF-8" end
  return nil
end

-- Returns the query (without its question mark) as it is to be passed on, or nil and what is wrong with it.
function url.query(route, query)
  local kept, seen = {}, {}
  if route.fills == "*" then return "" end
  for pair in query:gmatch("[^&]+") do
    local name, value = pair:match("^([^=]*)=?(.*)$")
    name = unescape(name)
    local top = name:match("^[^.]*")
    local field = SHAPES[route.shape][top]
    if field and not route.bound[top] and top ~= route.fills then
      local fault = fault_of(name, field, value, seen)
      if fault then return nil, fault end
      kept[#kept + 1], seen[name] = pair, true
    end
  end
  return table.concat(kept, "&")
end
