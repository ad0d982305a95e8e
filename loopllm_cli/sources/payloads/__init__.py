"""One file per API body; envelopes share them."""
