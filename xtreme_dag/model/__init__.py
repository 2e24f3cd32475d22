"""Encoder, heads and packed attention."""
