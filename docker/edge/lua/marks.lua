-- Owns the files by which nginx sees that a request belongs to an app that asks for more than a way in: one for each
-- front port and host name of such an app (nginx.conf looks for them, asked.lua serves what asks). With its "h-" the
-- longest host name, of 253 characters, is just as long as the name of a file may be.

local FOLDER = "/tmp/edge/asked/"
local shared = ngx.shared.edge

local M = {}

-- What costs nothing here asks for nothing: host names, and what secure_marks.lua makes of `https`.
local FREE = { hosts = true, https = true }

local function asks(options)
  if type(options) ~= "table" then return false end
  for option in pairs(options) do if not FREE[option] then return true end end
  return false
end

local function marks_of(table)
  local marks = {}
  for _, route in ipairs(table.routes) do
    if asks(route.options) then
      if type(route.front_port) == "number" then marks["port-" .. route.front_port] = true end
      if type(route.host) == "string" then marks["h-" .. route.host] = true end
      for _, name in ipairs(route.options.hosts or {}) do marks["h-" .. name] = true end
    end
  end
  return marks
end

local function standing()
  local marks = {}
  for mark in (shared:get("marks") or ""):gmatch("[^\n]+") do marks[mark] = true end
  return marks
end

local function note(marks)
  local names = {}
  for mark in pairs(marks) do names[#names + 1] = mark end
  return shared:safe_set("marks", table.concat(names, "\n"))
end

-- Before a table is served: a request that meets its mark early is treated like any other.
function M.add(wanted)
  local marks = standing()
  for mark in pairs(marks_of(wanted)) do
    if not marks[mark] then
      local file, mistake = io.open(FOLDER .. mark, "wb")
      if not file then return nil, mistake end
      file:close()
      marks[mark] = true
    end
  end
  return note(marks)
end

-- After it: what nobody asks for any more goes.
function M.keep_only(wanted)
  local marks, kept = standing(), marks_of(wanted)
  for mark in pairs(marks) do
    if not kept[mark] then
      os.remove(FOLDER .. mark)
      marks[mark] = nil
    end
  end
  note(marks)
end

return M
