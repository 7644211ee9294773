"""Where releases go: pointers, policies, decisions, tags."""
