"""loopllm: keep a production LLM from decaying, from exported logs to a verified correction."""

__version__ = "0.1.0"
