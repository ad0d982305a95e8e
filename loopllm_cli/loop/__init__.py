"""The loop's verbs as functions: what each command does, without a terminal."""
