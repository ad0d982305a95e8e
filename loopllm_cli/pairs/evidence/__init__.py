"""What is known before any pair is made: answers, the votes on them, and what may be heard."""
