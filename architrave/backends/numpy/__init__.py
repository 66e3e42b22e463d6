"""The NumPy backend: functions on nested dicts of arrays."""
