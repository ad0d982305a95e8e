"""Results become bytes: terminal text, JSON and HTML.

This room never computes a statistic and never decides: it reads the frozen results of
`loopllm_cli.model` and writes them down. It must import nothing but `model`, `errors`, rich,
jinja2 and the standard library.
"""
