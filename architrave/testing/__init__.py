"""For other projects: assertions that a network means the same in every backend."""
