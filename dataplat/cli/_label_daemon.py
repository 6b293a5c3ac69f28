"""The process that `dataplat label server start` leaves behind beside Label Studio: pictures, ways in, webhooks.

    python -m dataplat.cli._label_daemon --state FOLDER

It runs in the folder where the command was given, whose `dataplat.toml` says how stores are reached.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Serve until the process is told to end."""
    parser = argparse.ArgumentParser(prog="dataplat-label-server")
    parser.add_argument("--state", type=Path, required=True)
    folder = parser.parse_args(arguments).state

    import uvicorn

    from dataplat._labels._media_source import find_media
    from dataplat.labeling.connect import find_address
    from dataplat.labeling.label_studio._state import load_or_make
    from dataplat.labeling.serve.app import Desk, make_app

    state, there = load_or_make(folder), find_address()
    desk = Desk(state, folder, there.url, there.token, find_media)
    # no access log: whoever has a link may use it
    uvicorn.run(make_app(desk), host="127.0.0.1", port=state.serve_port, access_log=False, log_level="warning")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
