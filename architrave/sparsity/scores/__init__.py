"""Methods that say which numbers of a network matter, and a network made sparse by them at once."""
