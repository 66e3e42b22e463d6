"""One description of a neural network, compiled to NumPy, PyTorch and JAX programs that agree."""
