"""The pytest plugin, loaded by pytest wherever this package is installed. It imports nothing heavy."""
