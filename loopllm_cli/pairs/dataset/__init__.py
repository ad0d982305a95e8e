"""The folder of a set of pairs: written, read back, looked up."""
