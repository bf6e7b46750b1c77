"""The tests, a package of our own: an installed package of this name must not stand before it."""
