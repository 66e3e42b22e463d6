"""Masks: which numbers stay, how many of each weight, when, and what they take."""
