-- Owns the files by which nginx itself, without Lua, knows which names it sends on to TLS, and answers an authority's
-- challenges (nginx.conf and names.conf look for them).

local settings = require "settings"

local SECURE = "/tmp/edge/secure/"
local CHALLENGES = "/tmp/edge/challenges/.well-known/acme-challenge/"
-- Not beside the mark: a name with a suffix is another host's, or too long for a file.
local NEW = "/tmp/edge/mark.new"
local shared = ngx.shared.certificates

local M = {}

local function standing(key)
  local names = {}
  for name in (shared:get(key) or ""):gmatch("[^\n]+") do names[name] = true end
  return names
end

local function write(path, content)
  local file, mistake = io.open(NEW, "wb")
  if not file then return nil, mistake end
  local written
  written, mistake = file:write(content)
  file:close()
  if not written then return nil, mistake end
  return os.rename(NEW, path)
end

-- Makes the files of a folder those that are wanted, name -> content; which ones stand is noted under a key.
local function make_so(folder, key, wanted)
  for name in pairs(standing(key)) do
    if not wanted[name] then os.remove(folder .. name) end
  end
  local names = {}
  for name, content in pairs(wanted) do
    local written, mistake = write(folder .. name, content)
    if not written then return nil, mistake end
    names[#names + 1] = name
  end
  return shared:safe_set(key, table.concat(names, "\n"))
end

function M.use(set)
  local secure, challenges = {}, {}
  for _, certificate in ipairs(set.certificates) do
    -- To a port that is not open nobody is sent.
    if certificate.redirect and settings.tls_port then secure[certificate.host] = "" end
  end
  for _, challenge in ipairs(set.challenges) do challenges[challenge.token] = challenge.answer end
  local made, mistake = make_so(CHALLENGES, "challenges", challenges)
  if not made then return nil, mistake end
  return make_so(SECURE, "secure", secure)
end

return M
