"""The HTTP front: validates, writes rows, reads rows."""
