"""Which pairs are kept, and which are held out."""
