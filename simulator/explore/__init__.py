"""Searches for the interruption that a script does not survive: over moments, over what S3 can hold, over faults."""
