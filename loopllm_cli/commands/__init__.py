"""The terminal edge: one file per verb, options to one call to a rendering to an exit code."""
