"""Build the sample world: a small support assistant that breaks half way through a month."""
