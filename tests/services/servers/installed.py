"""Where the servers' programs lie: installed by scripts/services.py, by whoever comes first."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
_spec = importlib.util.spec_from_file_location("install_services", ROOT / "scripts" / "services.py")
assert _spec is not None
assert _spec.loader is not None
services = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = services  # its dataclasses look themselves up
_spec.loader.exec_module(services)  # here, before the tests have a cache of their own


def needs(name: str) -> Path:
    """Return a service's folder, installed first or waited for; skip the test where that cannot be, fail it in CI."""
    try:
        return Path(services.SERVICES[name].install())
    except services.CannotInstallError as problem:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI has to prove this with the real server: {problem}")
        pytest.skip(f"no real server: {problem} (see `make services`)")
