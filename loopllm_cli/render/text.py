"""Every terminal rendering in one place to import from."""

from loopllm_cli.render.text_drift import drift_table, write_drift
from loopllm_cli.render.text_forget import write_forget
from loopllm_cli.render.text_loop import write_adapter, write_verify
from loopllm_cli.render.text_pairs import write_export, write_pairs
from loopllm_cli.render.text_store import (
    write_baseline,
    write_baselines,
    write_ingest,
    write_status,
)

__all__ = [
    "drift_table",
    "write_adapter",
    "write_baseline",
    "write_baselines",
    "write_drift",
    "write_export",
    "write_forget",
    "write_ingest",
    "write_pairs",
    "write_status",
    "write_verify",
]
