-- Reads a JSON text strictly (RFC 8259) against SHAPES, and keeps nothing of it. The transcoder alone takes single quotes,
-- bare keys and trailing commas, reads "a" as ["a"] and any number as an enum, lets the body's value for a field of the
-- path win, and drops unknown fields however deep they are.
local json = {}

local MAX_DEPTH = 32
local MAX_INTEGER = 4294967295  -- of the wider of int32 and uint32; the transcoder knows which one it is
local EXPECTED = {
  string = "must be a string", integer = "must be a whole number", long = "must be a whole number", number = "must be a number",
  boolean = "must be true or false", object = "must be an object", array = "must be an array",
}
local PLAIN_ESCAPES = { [34] = true, [47] = true, [92] = true, [98] = true, [102] = true, [110] = true, [114] = true, [116] = true }
local byte, find, match, sub = string.byte, string.find, string.match, string.sub

local function where(reader)
  local path = ""
  for _, name in ipairs(reader.names) do
    if type(name) == "number" then path = path .. "[" .. name .. "]"
    else path = path == "" and name or path .. "." .. name end
  end
  return path
end

local function refuse(reader, fault)
  local path = where(reader)
  error({ fault = path == "" and "the body " .. fault or path .. ": " .. fault }, 0)
end

local function malformed(reader, at)
  reader.names = {}
  refuse(reader, at > #reader.text and "is not valid JSON: it ends too early" or "is not valid JSON at byte " .. at)
end

local function skip_space(text, at)
  local c = byte(text, at)
  while c == 32 or c == 10 or c == 13 or c == 9 do
    at = at + 1
    c = byte(text, at)
  end
  return at, c
end

-- `at` is a backslash; returns the index after the escape.
local function read_escape(reader, at)
  local text, c = reader.text, byte(reader.text, at + 1)
  if PLAIN_ESCAPES[c] then return at + 2 end
  if c ~= 117 then malformed(reader, at) end
  local code = tonumber(match(text, "^%x%x%x%x", at + 2) or malformed(reader, at), 16)
  if code < 0xD800 or code > 0xDFFF then return at + 6 end
  if code > 0xDBFF or not find(text, "^\\u[dD][c-fC-F]%x%x", at + 6) then refuse(reader, "must not contain a lone surrogate") end
  return at + 12
end

-- `at` is the opening quote; returns the index after the closing one, and whether there are escapes between them.
-- Byte by byte: such a loop is compiled, a pattern is not.
local function read_string(reader, at)
  local text, escaped = reader.text, false
  at = at + 1
  while true do
    local c = byte(text, at)
    while c and c > 31 and c ~= 34 and c ~= 92 do
      at = at + 1
      c = byte(text, at)
    end
    if c == 34 then return at + 1, escaped end
    if c ~= 92 then malformed(reader, at) end
    at, escaped = read_escape(reader, at), true
  end
end

local function read_digits(reader, from)
  local at, text = from, reader.text
  local c = byte(text, at)
  while c and c > 47 and c < 58 do
    at = at + 1
    c = byte(text, at)
  end
  if at == from then malformed(reader, at) end
  return at, c
end

local function read_number(reader, at)
  local text = reader.text
  local from = byte(text, at) == 45 and at + 1 or at
  local stop, c = read_digits(reader, from)
  if stop > from + 1 and byte(text, from) == 48 then malformed(reader, from) end
  if c == 46 then stop, c = read_digits(reader, stop + 1) end
  if c ~= 69 and c ~= 101 then return stop end
  local sign = byte(text, stop + 1)
  return (read_digits(reader, (sign == 43 or sign == 45) and stop + 2 or stop + 1))
end

local function expect(reader, field, given, other)
  if not field or not field.kind or field.kind == given or field.kind == other then return end
  refuse(reader, EXPECTED[field.kind] or "must be one of " .. field.said)
end

local function expect_string(reader, field, text)
  if not field or field.kind == "string" then return end
  expect(reader, field, field.kind == "enum" and "enum" or "string", "long")
  if field.names and not field.names[text] then expect(reader, field) end
end

local function expect_number(reader, field, text)
  if not field then return end
  expect(reader, field, field.kind == "integer" and "integer" or "number", "long")
  if field.kind ~= "integer" then return end
  local value = tonumber(text)
  if value % 1 ~= 0 then expect(reader, field) end
  if math.abs(value) > MAX_INTEGER then refuse(reader, "is out of range") end
end

local function plain(key)
  return (key:gsub("\\u00(%x%x)", function(code) return string.char(tonumber(code, 16)) end):gsub("\\(.)", "%1"))
end

local read_value

local function enter(reader, depth)
  if depth > MAX_DEPTH then refuse(reader, "is nested deeper than " .. MAX_DEPTH) end
end

local function member_of(reader, field, key, depth, from, to)
  if (depth == 1 and reader.bound[key]) or (key == "" and field and field.shape) then
    reader.hidden[#reader.hidden + 1] = { from, to }
    return nil
  end
  if not field then return nil end
  return field.item or (field.shape and SHAPES[field.shape][key])
end

local function read_member(reader, at, field, depth)
  local text = reader.text
  if byte(text, at) ~= 34 then malformed(reader, at) end
  local stop, escaped = read_string(reader, at)
  local key = sub(text, at + 1, stop - 2)
  if escaped then key = plain(key) end
  local member = member_of(reader, field, key, depth, at + 1, stop - 2)
  local colon, c = skip_space(text, stop)
  if c ~= 58 then malformed(reader, colon) end
  reader.names[depth] = key
  stop = read_value(reader, colon + 1, member, depth)
  reader.names[depth] = nil
  return skip_space(text, stop)
end

local function read_object(reader, at, field, depth)
  enter(reader, depth)
  local c
  at, c = skip_space(reader.text, at + 1)
  if c == 125 then return at + 1 end
  while true do
    at, c = read_member(reader, at, field, depth)
    if c == 125 then return at + 1 end
    if c ~= 44 then malformed(reader, at) end
    at = skip_space(reader.text, at + 1)
  end
end

local function read_array(reader, at, field, depth)
  enter(reader, depth)
  local item, index, c = field and field.item, 0
  at, c = skip_space(reader.text, at + 1)
  if c == 93 then return at + 1 end
  while true do
    reader.names[depth] = index
    at = read_value(reader, at, item, depth, true)
    reader.names[depth] = nil
    at, c = skip_space(reader.text, at)
    if c == 93 then return at + 1 end
    if c ~= 44 then malformed(reader, at) end
    at, index = at + 1, index + 1
  end
end

local function read_word(reader, at, field, whole)
  local word = match(reader.text, "^%l+", at)
  if word == "true" or word == "false" then
    expect(reader, field, "boolean")
  elseif word ~= "null" then
    malformed(reader, at)
  elseif whole then
    expect(reader, field)  -- null means absent, and neither a body nor an element can be absent
  end
  return at + #word
end

function read_value(reader, at, field, depth, whole)
  local text, c = reader.text
  at, c = skip_space(text, at)
  if c == 34 then
    local stop = read_string(reader, at)
    expect_string(reader, field, field and field.names and sub(text, at + 1, stop - 2))
    return stop
  elseif c == 123 then
    expect(reader, field, "object")
    return read_object(reader, at, field, depth + 1)
  elseif c == 91 then
    expect(reader, field, "array")
    return read_array(reader, at, field, depth + 1)
  elseif c == 45 or (c and c >= 48 and c <= 57) then
    local stop = read_number(reader, at)
    expect_number(reader, field, field and field.kind == "integer" and sub(text, at, stop - 1))
    return stop
  end
  return read_word(reader, at, field, whole)
end

-- The text with those keys made unknown ones: what the path fills, and "", at which the transcoder gives up.
local function without(text, hidden)
  local parts, from = {}, 1
  for _, range in ipairs(hidden) do
    parts[#parts + 1] = sub(text, from, range[1] - 1) .. ("~"):rep(math.max(1, range[2] - range[1] + 1))
    from = range[2] + 1
  end
  return table.concat(parts) .. sub(text, from)
end

-- `field` is what the text must be; `bound` the fields that the path fills, which a body can't change: name -> true.
-- Returns the text as it is to be passed on, or nil and what is wrong with it.
function json.check(text, field, bound)
  local reader = { text = text, names = {}, bound = bound, hidden = {} }
  local ok, fault = pcall(function()
    local at = skip_space(text, read_value(reader, 1, field, 0, true))
    if at <= #text then malformed(reader, at) end
  end)
  if not ok then return nil, type(fault) == "table" and fault.fault or error(fault, 0) end
  return #reader.hidden == 0 and text or without(text, reader.hidden)
end
