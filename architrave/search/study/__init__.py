"""Searching a space: strategies, and trials in a storage that several processes share."""
