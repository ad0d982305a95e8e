"""One small file per tool: `METHODS` names its ways to decide, each a function of two windows."""
