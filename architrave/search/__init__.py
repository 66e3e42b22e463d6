"""Search spaces: counting, sampling and costing their members, training supernets of them, and searching."""
