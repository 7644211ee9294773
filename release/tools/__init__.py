"""The only hands that touch the world: argv, HTTP, temporary folders, limits. No rules."""
