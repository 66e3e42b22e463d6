"""Functions that emitted PyTorch programs may need: the text of those that one needs is copied into it."""
