"""The graph of a tree: capabilities and who provides them, what needs what, and who follows from a change."""
