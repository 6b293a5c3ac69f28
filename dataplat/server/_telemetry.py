"""OpenTelemetry, where it is wanted: a span for every request, by its own ASGI middleware and its OTEL_… variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dataplat.errors import MissingExtra


def observed(app: Callable[..., Any]) -> Callable[..., Any]:
    """Return an application whose requests are spans.

    Raises:
        MissingExtra: The middleware is not installed.
    """
    try:
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    except ImportError as error:
        raise MissingExtra(
            "[serve] telemetry needs OpenTelemetry's middleware: pip install 'dataplat[telemetry]'"
        ) from error
    return OpenTelemetryMiddleware(app, exclude_spans=["send", "receive"])
