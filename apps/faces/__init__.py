"""A set of attributes becomes several different faces that have them."""
