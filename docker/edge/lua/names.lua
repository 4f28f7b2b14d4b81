-- What a host name is.

local M = {}

function M.is_host_name(value)
  return type(value) == "string" and #value <= 253 and value:match("^[a-z0-9.-]+$") ~= nil
    and value:find(".", 1, true) ~= nil and not value:find("..", 1, true)
end

return M
