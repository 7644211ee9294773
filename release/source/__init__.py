"""What a distribution is and what a change of it means: text, packages, the graph, the plan."""
