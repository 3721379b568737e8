"""A user's package of kinds, as the tests need them."""
