"""One deed each: fetch with a tool, ask release, act with a tool."""
