"""OpenTelemetry, where it is wanted: a span for every request, by its own ASGI middleware and its OTEL_… variables.

Where nobody has set a provider up (`opentelemetry-instrument` does), one is made here as those variables say: to whom spans go
(`OTEL_TRACES_EXPORTER`, by default `otlp`, at `OTEL_EXPORTER_OTLP_ENDPOINT`), how many of them (`OTEL_TRACES_SAMPLER`), and
under which name (`OTEL_SERVICE_NAME`, by default `dataplat`). A caller's `traceparent` is followed.

A span says what the access log says: no key and no value. So the middleware is shown neither the query of an address, where a
push may name its rows, nor a path that is none of ours.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Final, TypeAlias

from dataplat.errors import ConfigError, MissingExtra
from dataplat.server._request import Receive, Scope, Send

App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

OTHER: Final = "/(other)"
_SERVICES: Final = "/features/services/"
_HIDDEN: Final = "dataplat.hidden"
_TOLD: Final = {b"x-request-id": "dataplat.request_id", b"dataplat-snapshot": "dataplat.snapshot"}
"""Headers of an answer that a span has, too."""


def observed(app: App, paths: frozenset[str]) -> App:
    """Return an application whose requests are spans.

    Args:
        app: the application.
        paths: those that spans may tell.

    Raises:
        MissingExtra: The middleware, the SDK or an exporter is not installed.
        ConfigError: `OTEL_TRACES_EXPORTER` names an exporter that there is not.
    """
    try:
        from opentelemetry import trace
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
        from opentelemetry.util.http import get_excluded_urls

        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            trace.set_tracer_provider(_provider())
    except MissingExtra:
        raise
    except ImportError as error:
        raise MissingExtra(
            "[serve] telemetry needs OpenTelemetry's middleware, SDK and exporter: pip install 'dataplat[telemetry]'"
        ) from error
    excluded = get_excluded_urls("ASGI")
    traced = OpenTelemetryMiddleware(_shown(app), excluded_urls=excluded, exclude_spans=["send", "receive"])

    async def hidden(scope: Scope, receive: Receive, send: Send) -> None:
        """Hide what may hold values from the middleware."""
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path.startswith(_SERVICES):
            path = _SERVICES + "{name}"
        elif path not in paths:
            path = OTHER
        scope[_HIDDEN] = scope["path"], scope["query_string"]
        scope["path"], scope["query_string"] = path, b""
        await traced(scope, receive, send)

    return hidden


def _shown(app: App) -> App:
    """Return the application, which is shown what was hidden, and whose answers are told the span."""
    from opentelemetry import trace

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        scope["path"], scope["query_string"] = scope.pop(_HIDDEN)
        span = trace.get_current_span()

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start" and span.is_recording():
                for name, value in message["headers"]:
                    if name in _TOLD:
                        span.set_attribute(_TOLD[name], value.decode("latin-1"))
            await send(message)

        await app(scope, receive, sending)

    return inner


def _provider() -> Any:
    """Return a provider as the variables say; what it has is sent every few seconds, and at the end."""
    traces, export = import_module("opentelemetry.sdk.trace"), import_module("opentelemetry.sdk.trace.export")
    resources = import_module("opentelemetry.sdk.resources")
    named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    resource = resources.Resource.create({} if named else {"service.name": "dataplat"})
    provider = traces.TracerProvider(resource=resource)
    for name in os.environ.get("OTEL_TRACES_EXPORTER", "otlp").split(","):
        if name.strip() not in ("", "none"):
            provider.add_span_processor(export.BatchSpanProcessor(_exporter(name.strip())()))
    return provider


def _exporter(name: str) -> Any:
    """Return an exporter by the name that the variable has."""
    if name == "otlp":
        told = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        name = "otlp_proto_grpc" if told == "grpc" else "otlp_proto_http"
    found = {each.name: each for each in entry_points(group="opentelemetry_traces_exporter")}
    if name in found:
        return found[name].load()
    if name.startswith("otlp_proto_"):
        package = f"opentelemetry-exporter-{name.replace('_', '-')}"
        raise MissingExtra(f"OTEL_TRACES_EXPORTER names an exporter that is not installed: pip install {package}")
    raise ConfigError(f"OTEL_TRACES_EXPORTER is {name!r}; installed are {', '.join(sorted(found)) or 'none'}")
