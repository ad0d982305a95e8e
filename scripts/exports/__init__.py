"""Example exports: records in the shapes of other tools, with sentences of our own."""
