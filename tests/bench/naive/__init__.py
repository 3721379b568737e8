"""The rival: the guide's own design (its section 9.3) with its own configuration.

It is given every advantage that its design allows: no authentication, no validation, no database.
"""
