"""What others can observe of a binary RPM, and what an installed system has of it."""
