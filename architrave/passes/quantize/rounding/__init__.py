"""Where the numbers of a network are rounded, in floats."""
