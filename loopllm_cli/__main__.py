"""Run loopllm as `python -m loopllm_cli`."""

from loopllm_cli.app import main

main()
