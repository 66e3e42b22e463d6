"""Rounded networks lowered to integers."""
