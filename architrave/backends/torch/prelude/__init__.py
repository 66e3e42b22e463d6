"""Functions that PyTorch programs carry along."""
