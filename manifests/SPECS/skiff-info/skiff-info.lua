#!/usr/bin/lua
-- What this system is, as YAML: its release, the Lua that reads it, and the repositories that it knows.

local lpeg = require "lpeg"
local yaml = require "lyaml"

local P, S, C, Cf, Cg, Ct = lpeg.P, lpeg.S, lpeg.C, lpeg.Cf, lpeg.Cg, lpeg.Ct
local newline = P "\n"
local rest = C((1 - newline) ^ 0)
local comment = S "#;" * (1 - newline) ^ 0

-- A table out of the key and value pairs that a pattern captures.
local function collect(pair)
    return Cf(Ct "" * pair ^ 0, rawset)
end

-- os-release(5): KEY=value, where the value may stand in quotes.
local quoted = S [["']] * C((1 - S "\"'\n") ^ 0) * S [["']]
local assignment = Cg(C((1 - S "=\n#") ^ 1) * "=" * (quoted + rest)) * newline ^ -1
local os_release = collect((comment * newline + newline) ^ 0 * assignment)

-- dnf.conf(5): [repository], then key=value.
local key = Cg(C((1 - S "=\n[#; ") ^ 1) * S " " ^ 0 * "=" * S " " ^ 0 * rest) * newline ^ -1
local skip = (comment * newline + newline) ^ 0
local section = Cg("[" * C((1 - S "]\n") ^ 1) * "]" * newline ^ -1 * collect(skip * key)) * skip
local repositories = skip * collect(section)

local function read(path, grammar)
    local file = io.open(path)
    if not file then
        return nil
    end
    local text = file:read "a"
    file:close()
    return grammar:match(text)
end

local root = arg[1] or ""
local release = read(root .. "/etc/os-release", os_release)
if not release then
    io.stderr:write("skiff-info: cannot read " .. root .. "/etc/os-release\n")
    os.exit(1)
end

-- The repository of the channel, and the one that an image is pinned to. One line of text for each repository,
-- sorted: lyaml writes the keys of a table in any order.
local known = {}
for _, file in ipairs { "skiff.repo", "skiff-release.repo" } do
    for name, settings in pairs(read(root .. "/etc/yum.repos.d/" .. file, repositories) or {}) do
        local state = settings.enabled == "0" and "disabled" or "enabled"
        local trust = settings.gpgcheck == "1" and "checked" or "unchecked"
        table.insert(known, name .. " (" .. state .. ", " .. trust .. ") " .. (settings.baseurl or "nowhere"))
    end
end
table.sort(known)

local function say(key, value)
    local text = yaml.dump { { [key] = value } }
    io.write((text:gsub("^%-%-%-\n", ""):gsub("%.%.%.\n$", "")))
end

say("name", release.NAME)
say("version", release.VERSION_ID)
say("interpreter", _VERSION)
say("repositories", known)
