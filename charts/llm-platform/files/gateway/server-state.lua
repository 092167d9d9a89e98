-- Writes down which pods HAProxy knows and which of them are well, so that the worker that a reload starts knows them
-- from its first request on; by itself it would know none until DNS answers, and refuse what comes until then.
--
-- reload.sh asks by making the file `servers.wanted`, and waits for it to go.

local FOLDER = '/run/llm-gateway'
local WANTED = FOLDER .. '/servers.wanted'
local STATE = FOLDER .. '/servers.state'

local function exists(path)
    local file = io.open(path)
    if file then file:close() end
    return file ~= nil
end

-- What the command line of HAProxy answers, or nil.
local function ask(command)
    local socket = core.tcp()
    socket:settimeout(5)
    if not socket:connect(FOLDER .. '/admin.sock') then return nil end
    socket:send(command .. '\n')
    local answer = socket:receive('*a')
    socket:close()
    return answer
end

local function save()
    local state = ask('show servers state')
    if not state then return end
    -- Whole or not at all: a reload may read it at any moment.
    local file = assert(io.open(STATE .. '.new', 'w'))
    file:write(state)
    file:close()
    assert(os.rename(STATE .. '.new', STATE))
end

core.register_task(function()
    while true do
        if exists(WANTED) then
            save()
            os.remove(WANTED)
        end
        core.msleep(100)
    end
end)
