"""Few bits in the place of floats: where numbers are rounded, and networks that compute with the integers alone."""
