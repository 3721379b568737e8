"""Cleaning up files: what `files.clean` does, each sort of leavings in a module of its own.

All of it works in batches, on one connection: ids are read into a cursor that the server holds; each batch is locked,
looked at again, deleted and committed, and only then its blobs go. Nobody waits for longer than a batch, and a crash
anywhere leaves at most blobs without a row, which a later run finds.
"""
