"""Re-parameterization: affine maps, merged and moved by one algebra."""
