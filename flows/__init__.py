"""Stories and doors: the order of deeds, and the ways in (command line, web, deployments)."""
