-- Owns what visitors over TLS are shown: a certificate for each host name that has one, taken from the load balancer as
-- one set, kept in a file that only this user reads, served by every worker from the next handshake on. Also the
-- answers to an authority's challenges, which nginx itself serves (names.conf). A key never leaves this file's hands:
-- no answer, no log and no other file has it.

local cjson = require "cjson.safe"
local ffi = require "ffi"
local files = require "files"
local marks = require "secure_marks"
local is_host_name = require("names").is_host_name
local settings = require "settings"
local ssl = require "ngx.ssl"
ffi.cdef [[
  int open(const char *path, int flags, ...);
  long write(int fd, const void *bytes, size_t count);
  int close(int fd);
  int fsync(int fd);
]]

local KEPT = "/var/lib/avishkar/edge/certificates.json"
local O_WRONLY, O_CREAT, O_TRUNC, MODE = 1, 64, 512, 384   -- on Linux; 0600
local ENOENT = 2
-- As in nginx.conf.
local MOST_BYTES = 8 * 1024 * 1024
local shared = ngx.shared.certificates
local FORGET_AFTER = 3   -- in seconds: longer than nginx remembers that a mark was there

local parsed = {}   -- of this worker: host -> { text, chain, key }

local M = {}

local function is_count(value)
  return type(value) == "number" and value >= 0 and value == math.floor(value) and value < 2 ^ 53
end

-- Of OpenSSL's view of a certificate and its key: both, or nil and why not.
local function read_pair(certificate)
  if type(certificate.certificate) ~= "string" or type(certificate.key) ~= "string" then
    return nil, nil, "it has no certificate or no key"
  end
  local chain, mistake = ssl.parse_pem_cert(certificate.certificate)
  if not chain then return nil, nil, "its certificate cannot be read: " .. mistake end
  local key
  key, mistake = ssl.parse_pem_priv_key(certificate.key)
  if not key then return nil, nil, "its key cannot be read" end   -- whatever OpenSSL says, nothing of a key is told
  return chain, key
end

local function problem_of_certificates(list)
  if type(list) ~= "table" then return "certificates is not a list" end
  local hosts = {}
  for index, certificate in ipairs(list) do
    local where = "certificate " .. index .. ": "
    if type(certificate) ~= "table" then return where .. "it is not an object" end
    local host = certificate.host
    if not is_host_name(host) then return where .. "its host is not a name in lower case with dots" end
    if hosts[host] then return where .. "host " .. host .. " is given twice" end
    hosts[host] = true
    local chain, _, mistake = read_pair(certificate)
    if not chain then return where .. mistake end
  end
end

local function problem_of_kept(list)
  if list == nil then return end   -- of a set from before there were any
  if type(list) ~= "table" then return "kept is not a list" end
  for index, one in ipairs(list) do
    if type(one) ~= "table" or not is_host_name(one.host) then return "kept " .. index .. ": it names no host" end
  end
end

local function problem_of_challenges(list)
  if type(list) ~= "table" then return "challenges is not a list" end
  for index, challenge in ipairs(list) do
    local where = "challenge " .. index .. ": "
    if type(challenge) ~= "table" then return where .. "it is not an object" end
    local token, answer = challenge.token, challenge.answer
    if type(token) ~= "string" or #token > 128 or not token:match("^[A-Za-z0-9_-]+$") then
      return where .. "its token is none"
    end
    if type(answer) ~= "string" or #answer > 512 then return where .. "its answer is none" end
  end
end

-- Decodes and checks a whole set: the set, or nil and why not.
local function parse(blob)
  local set, mistake = cjson.decode(blob)
  if type(set) ~= "table" then return nil, "not a JSON object: " .. (mistake or "another value") end
  if not is_count(set.epoch) or not is_count(set.generation) then
    return nil, "epoch and generation are not whole numbers"
  end
  mistake = problem_of_certificates(set.certificates) or problem_of_kept(set.kept)
    or problem_of_challenges(set.challenges)
  if mistake then return nil, mistake end
  return set
end

-- What a set does not have and its names are to keep, taken from what is shown; whether there was any.
local function take_kept(set)
  local given, found = {}, false
  for _, certificate in ipairs(set.certificates) do given[certificate.host] = true end
  for _, one in ipairs(set.kept or {}) do
    local pair = not given[one.host] and cjson.decode(shared:get("of:" .. one.host) or "")
    if pair then
      local papers = { host = one.host, certificate = pair.certificate, key = pair.key, redirect = one.redirect }
      set.certificates[#set.certificates + 1] = papers
      found = true
    end
  end
  set.kept = nil
  return found
end

local function write_all(descriptor, blob)
  local left, bytes = #blob, ffi.cast("const char *", blob)
  while left > 0 do
    local written = tonumber(ffi.C.write(descriptor, bytes, left))
    if written <= 0 then return false end
    bytes, left = bytes + written, left - written
  end
  return ffi.C.fsync(descriptor) == 0
end

-- Beside its place, for this user alone from the first byte on, then renamed into it.
local function keep(blob)
  local beside = KEPT .. ".new"
  os.remove(beside)   -- one that others may read would stay so
  local descriptor = ffi.C.open(beside, O_WRONLY + O_CREAT + O_TRUNC, ffi.cast("int", MODE))
  if descriptor < 0 then return nil, "it cannot be opened" end
  local whole = write_all(descriptor, blob)
  ffi.C.close(descriptor)
  if not whole then return nil, "it cannot be written" end
  return os.rename(beside, KEPT)
end

local function age()
  local epoch, generation = (shared:get("age") or "-1:-1"):match("^(.+):(.+)$")
  return tonumber(epoch), tonumber(generation)
end

-- What no set has any more, and whose mark nginx has forgotten.
local function forget(premature)
  if premature then return end
  -- Not while a set is taken, by whichever worker: what it has stored is not among the hosts yet.
  if not shared:add("loading", true, 5) then
    ngx.timer.at(1, M.forget)
    return
  end
  local wanted = cjson.decode(shared:get("hosts") or "[]")
  local kept = {}
  for _, host in ipairs(wanted) do kept["of:" .. host] = true end
  for _, key in ipairs(shared:get_keys(0)) do
    if key:sub(1, 3) == "of:" and not kept[key] then shared:delete(key) end
  end
  shared:delete("loading")
end
M.forget = forget

-- A name gets its certificate before visitors are sent to it, and loses it after.
local function show(set)
  local hosts = {}
  for _, certificate in ipairs(set.certificates) do
    local text = cjson.encode { certificate = certificate.certificate, key = certificate.key }
    local stored, mistake = shared:safe_set("of:" .. certificate.host, text)
    if not stored then return nil, mistake end
    hosts[#hosts + 1] = certificate.host
  end
  local stored, mistake = shared:safe_set("hosts", #hosts > 0 and cjson.encode(hosts) or "[]")
  if not stored then return nil, mistake end
  return marks.use(set)
end

local function note(set, digest)
  shared:set("digest", digest)
  shared:set("age", set.epoch .. ":" .. set.generation)
end

-- After a set that could not be shown: the one before, as far as it goes.
local function show_kept()
  local blob = files.read(KEPT)
  local set = blob and parse(blob)
  local shown, mistake = show(set or { certificates = {}, challenges = {} })
  if not shown then ngx.log(ngx.ERR, "edge: the certificates of before cannot be shown again: ", mistake) end
end

local function refuse(status, code, detail)
  return { status = status, code = code, detail = detail }
end

local function load(blob)
  local set, mistake = parse(blob)
  if not set then return refuse(422, "CERTIFICATES_INVALID", mistake) end
  local epoch, generation = age()
  if set.epoch < epoch or (set.epoch == epoch and set.generation < generation) then
    return refuse(409, "STALE_GENERATION", ("this edge holds epoch %d generation %d"):format(epoch, generation))
  end
  if set.epoch == epoch and set.generation == generation then
    if ngx.md5(blob) == shared:get("digest") then return end
    return refuse(409, "GENERATION_CONFLICT", "another set was accepted under this epoch and generation")
  end
  if #blob > MOST_BYTES then return refuse(422, "CERTIFICATES_INVALID", "the set is over 8 MiB") end
  ngx.timer.at(FORGET_AFTER, forget)
  local digest = ngx.md5(blob)
  if take_kept(set) then
    set.digest = digest   -- of what was asked for
    blob = cjson.encode(set)
  end
  -- Kept is only what could be shown: at a start there is nothing else to go back to.
  local shown
  shown, mistake = show(set)
  if not shown then
    show_kept()
    return refuse(422, "CERTIFICATES_INVALID", "the set does not fit: " .. mistake)
  end
  local kept
  kept, mistake = keep(blob)
  if not kept then
    show_kept()
    return refuse(503, "CERTIFICATES_NOT_KEPT", mistake)
  end
  note(set, digest)
  shared:delete("damage")
end

local function answer(status, body)
  ngx.status = status
  ngx.say(cjson.encode(body))
end

local function told()
  local epoch, generation = age()
  local hosts = cjson.decode(shared:get("hosts") or "[]")
  return { epoch = epoch, generation = generation, hosts = hosts }
end

-- GET /certificates: which set it holds, and for which names. POST: the whole set.
function M.control()
  local method = ngx.req.get_method()
  if method == "GET" then return answer(200, told()) end
  if method ~= "POST" then return answer(405, { code = "METHOD_NOT_ALLOWED" }) end
  ngx.req.read_body()
  local blob = ngx.req.get_body_data()
  if not blob then return answer(422, { code = "CERTIFICATES_INVALID", detail = "there is no set, or a larger one than 8 MiB" }) end
  while not shared:add("loading", true, 5) do ngx.sleep(0.002) end
  local done, refused = pcall(load, blob)
  shared:delete("loading")
  if not done then
    ngx.log(ngx.ERR, "edge: certificates cannot be taken: ", refused)
    return answer(500, { code = "EDGE_ERROR", detail = "the certificates cannot be taken" })
  end
  if refused then return answer(refused.status, { code = refused.code, detail = refused.detail }) end
  answer(200, told())
end

-- What of the file, and of the port, could not be used at the start, in words: added to a list.
function M.damage(list)
  list[#list + 1] = shared:get("damage")
  list[#list + 1] = settings.tls_damage
  return list
end

-- At start: the set that was taken last.
function M.restore()
  if shared:get("age") then return end   -- nginx is reloaded: the dictionary is still there
  local blob, mistake, number = files.read(KEPT)
  if not blob and number == ENOENT then return end
  local set
  if blob then set, mistake = parse(blob) end
  local shown
  if set then shown, mistake = show(set) end
  if shown then return note(set, set.digest or ngx.md5(blob)) end
  os.rename(KEPT, KEPT .. ".damaged")
  local words = "certificates.json cannot be served: " .. mistake
  ngx.log(ngx.ERR, "edge: ", words)
  shared:set("damage", words)
end

local function of(host)
  local text = shared:get("of:" .. host)
  if not text then
    parsed[host] = nil
    return
  end
  local known = parsed[host]
  if known and known.text == text then return known end
  local chain, key, mistake = read_pair(cjson.decode(text))
  if not chain then return ngx.log(ngx.ERR, "edge: the certificate of ", host, " cannot be used: ", mistake) end
  parsed[host] = { text = text, chain = chain, key = key }
  return parsed[host]
end

-- In a handshake. A visitor of a name that has no certificate is shown none: the handshake fails there.
function M.choose()
  ssl.clear_certs()
  local name = ssl.server_name()
  local found = name and of(name:lower())
  if not found then return end
  local shown, mistake = ssl.set_cert(found.chain)
  if shown then shown, mistake = ssl.set_priv_key(found.key) end
  if not shown then ngx.log(ngx.ERR, "edge: the certificate of ", name, " cannot be shown: ", mistake) end
end

return M
