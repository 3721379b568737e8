"""Workers: everything that runs outside a request."""
