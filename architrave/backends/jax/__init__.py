"""The JAX backend: functions on nested dicts of arrays."""
