"""What reviewers say of pairs, and what follows from it."""
