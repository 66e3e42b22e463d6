"""Search spaces: their members, what these cost, which keep the constraints, and which are one network."""
