"""Syntax tree -> typed graph. The entry is `model.elaborate`."""
