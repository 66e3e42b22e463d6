"""Masks that change while a network learns, on one device or on many."""
