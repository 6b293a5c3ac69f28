"""Who is asked: those whom a queue names, else everybody who has an account on the server that dataplat runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dataplat._labels._create import change
from dataplat.errors import LabelError

if TYPE_CHECKING:
    from dataplat._labels._state import State
    from dataplat.labeling.server import LabelServer


def with_people(state: State, server: LabelServer | None) -> State:
    """Return the queue with somebody to ask: where it names nobody, it names all who have an account from now on.

    A server that others run has accounts of people who were never meant; there the queue has to name them.

    Raises:
        LabelError: There is nobody, or this is a plan, which asks no server.
    """
    from dataplat.labeling.label_studio.accounts import accounts_of_ours

    spec = state.spec
    if spec.annotators:
        return state
    say = f"`dataplat label queue set {spec.name} --annotators A,B`"
    if server is None:
        raise LabelError(
            f"queue {spec.name!r} names nobody to ask: a push asks all who have an account "
            f"(`dataplat label annotator list`), or say whom: {say}"
        )
    names = [name for name in accounts_of_ours(server.users()) if name != spec.adjudicator]
    if not names:
        raise LabelError(f"queue {spec.name!r} has nobody to ask: `dataplat label annotator add NAME`, or {say}")
    return change(state, annotators=tuple(names))


def strangers(names: Iterable[str], server: LabelServer) -> list[str]:
    """Return who has no account: what lies before them is seen by nobody."""
    known = {user.name for user in server.users()}
    return [name for name in names if name not in known]
