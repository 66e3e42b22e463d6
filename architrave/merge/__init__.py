"""Several trained networks as one: cut and stitched, or moved into one another."""
