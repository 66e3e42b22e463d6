"""Activations of which most are 0: counting them, and making them so."""
