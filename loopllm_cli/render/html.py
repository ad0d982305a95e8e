"""Write one self-contained HTML page per result.

A report holds end users' text. So: no script, no network, a content security policy that allows
nothing but this page's own style sheet by its hash, every value cleaned of control characters
and then escaped, whatever the template says.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from loopllm_cli.model import (
    AdapterCard,
    DriftResult,
    PairsSummary,
    RunParts,
    RunResult,
    VerifyResult,
)
from loopllm_cli.render import loop_views, numbers, run_views, views
from loopllm_cli.render.clean import clean_text

MAX_TEXT = 300  # cells of any one value; a page is not the place to read a log


def render_drift_html(result: DriftResult) -> str:
    """Write the report of one comparison."""
    drift = views.drift_view(result)
    context = {"drift": drift, "run": result.run_id, "made": numbers.minute(result.created)}
    return render_page("drift.html", context)


def render_verify_html(result: VerifyResult) -> str:
    """Write the report of one proof."""
    verify = loop_views.verify_view(result)
    context = {"verify": verify, "run": result.run_id, "made": numbers.minute(result.created)}
    return render_page("verify.html", context)


def render_loop_html(
    drift: DriftResult,
    pairs: PairsSummary | None,
    adapter: AdapterCard | None,
    verify: VerifyResult | None,
    quality: Sequence[Mapping[str, Any]] | None,
) -> str:
    """Write the report of the whole loop, with what there is of it.

    Args:
        drift: the comparison that started it.
        pairs: what became of the feedback.
        adapter: what was trained.
        verify: its proof.
        quality: right answers per intent, where the truth is known: mappings with `intent`,
            `broken`, and the shares `v1`, `v2`, `corrected`.
    """
    context = {
        **_parts(RunParts(drift, pairs, adapter, verify)),
        "verdict": loop_views.loop_verdict(drift, verify),
        "steps": loop_views.loop_steps(drift, pairs, adapter, verify),
        "quality": loop_views.quality_rows(quality) if quality else None,
        "run": verify.run_id if verify else drift.run_id,
        "made": numbers.minute(verify.created if verify else drift.created),
    }
    return render_page("loop.html", context)


def render_run_html(result: RunResult, parts: RunParts) -> str:
    """Write the report of an unattended run, with the full results of its steps below."""
    context = {
        **_parts(parts),
        "verdict": run_views.run_verdict(result),
        "steps": run_views.run_steps(result, parts),
        "to_do": [clean_text(step.to_do, MAX_TEXT) for step in result.steps if step.to_do],
        "quality": None,
        "run": result.run_id,
        "made": numbers.minute(result.created),
    }
    return render_page("loop.html", context)


def _parts(parts: RunParts) -> dict[str, Any]:
    drift, pairs, adapter, verify = parts.drift, parts.pairs, parts.adapter, parts.verify
    return {
        "drift": views.drift_view(drift) if drift else None,
        "pairs": loop_views.pairs_view(pairs) if pairs else None,
        "adapter": loop_views.adapter_view(adapter) if adapter else None,
        "verify": loop_views.verify_view(verify) if verify else None,
        "to_do": [],
    }


def render_page(name: str, context: Mapping[str, Any]) -> str:
    """Fill a template in, inside of the policy that every page has."""
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    page = _environment().get_template(name + ".j2")
    # The style goes in as Markup: it is ours, and CSS does not survive escaping.
    return page.render(**context, style=Markup(style), policy=Markup(policy))


def _style() -> str:
    return resources.files("loopllm_cli.render").joinpath("templates/report.css").read_text("utf-8")


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("loopllm_cli.render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_inert,
    )


def _inert(value: Any) -> Any:
    """Clean whatever a template is about to write, unless it is finished markup of ours."""
    if isinstance(value, Markup) or value is None:
        return value
    return clean_text(value, MAX_TEXT)
