-- How files are read.

local M = {}

-- All of a file; or nil, why not, and the number of the mistake.
function M.read(path)
  local file, mistake, number = io.open(path, "rb")
  if not file then return nil, mistake, number end
  local blob
  blob, mistake, number = file:read("*a")
  file:close()
  return blob, mistake, number
end

return M
