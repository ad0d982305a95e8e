"""What several people said of the same two answers, and how far each of them is to be believed."""
