"""`dataplat serve`: features by HTTP."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import click

from dataplat.cli import _exits
from dataplat.cli._options import branch_in_force, branch_option, command, open_lake


@command(
    "serve",
    example="dataplat serve --workers 2\n"
    "dataplat serve --service delay_model --host 0.0.0.0 --port 8080   # with keys in dataplat.toml\n"
    "curl -s localhost:8080/features/lookup -H 'content-type: application/json' "
    '-d \'{"service": "delay_model", "entities": {"airport": ["JFK"]}}\'',
)
@click.option("--host", metavar="HOST", help="Where to listen (default: 127.0.0.1; others need API keys).")
@click.option(
    "--port", metavar="PORT", type=click.IntRange(0, 65535), help="The port (default: 8080; 0: any free one)."
)
@click.option("--workers", metavar="N", type=click.IntRange(1), help="Processes that answer (default: 1).")
@click.option(
    "--service", "services", metavar="NAME", multiple=True, help="Serve these only, `name` or `name@version`."
)
@click.option("--access-log", metavar="FILE", help="Where requests are noted, - for standard error, '' for nowhere.")
@branch_option
def serve(
    host: str | None,
    port: int | None,
    workers: int | None,
    services: tuple[str, ...],
    access_log: str | None,
    branch: str | None,
    lake: str | None,
    as_json: bool,
) -> int:
    """Answer lookups of features, and take pushes, until told to end (SIGTERM, Ctrl-C).

    POST /features/lookup and /features/push; GET /healthz, /readyz, /metrics, /docs, /openapi.json. Settings are under
    [serve] in dataplat.toml. SIGHUP starts the workers anew one after another, with the settings and keys as they are then.
    """
    from dataplat.config import load
    from dataplat.server._installed import check
    from dataplat.server._settings import settings_of
    from dataplat.server._supervisor import Supervisor

    check()
    flags: dict[str, Any] = {"host": host, "port": port, "workers": workers, "access_log": access_log}
    flags["services"] = list(services) or None
    settings = settings_of(load(), flags)
    found = open_lake(lake).url
    url = found if "://" in found else str(Path(found).absolute())
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    told = {"lake": url, "branch": branch_in_force(branch), "flags": flags}
    Supervisor(settings, told, lambda url: _say(url, settings.workers, as_json)).run()
    return _exits.DONE


def _say(url: str, workers: int, as_json: bool) -> None:
    """Say where it listens, once it does."""
    if as_json:
        click.echo(json.dumps({"url": url, "workers": workers}))  # one line, for whoever waits for it
    else:
        click.echo(
            f"serving at {url} ({workers} {'worker' if workers == 1 else 'workers'}); documentation at {url}/docs"
        )
    sys.stdout.flush()
