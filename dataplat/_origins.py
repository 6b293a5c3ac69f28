"""The part of `Lake` that compares datasets with the files that they came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from pathlib import Path

    from dataplat._lake import Lake
    from dataplat._status import Status
    from dataplat.ingest._progress import Listener


class Origins:
    """Methods of `Lake`."""

    def status(
        self,
        dataset: str,
        folder: str | Path | None = None,
        *,
        branch: str = "main",
        content: bool = False,
        progress: Listener | None = None,
    ) -> Status:
        """Return which files are new, changed or gone since `dataset` was landed from them; changes nothing.

        Sizes and times of change decide, and a file is read only where the time alone differs (with `content`: always).
        A dataset of the files of a folder is compared with `folder`, or the one that it was landed from; of any other
        the files are looked at that its rows came from, with `folder` those below it.

        Raises:
            ConfigError: The dataset was not landed from files, or from several folders, and none is named.
            SourceNotFound: There is no such folder.
        """
        from dataplat._status import status

        return status(cast("Lake", self), dataset, folder, branch, progress, content=content)
