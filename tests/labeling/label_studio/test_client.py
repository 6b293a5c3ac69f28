"""Our client and a real Label Studio: what it answers, and what it does not enforce."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from dataplat.errors import LabelServerDenied, LabelServerError
from dataplat.labeling.label_studio.client import SECRET_HEADER, LabelStudioServer
from dataplat.labeling.server import Project, project_mark
from servers import LabelStudio

pytestmark = pytest.mark.slow

CONFIG = (
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t" choice="single">'
    '<Choice value="a"/><Choice value="b"/></Choices></View>'
)
ANSWER = [{"from_name": "c", "to_name": "t", "type": "choices", "value": {"choices": ["b"]}}]


@pytest.fixture
def server(label_studio: LabelStudio) -> Iterator[LabelStudioServer]:
    """Return a client as the administrator."""
    client = label_studio.client()
    yield client
    client.close()


@pytest.fixture
def project(label_studio: LabelStudio, server: LabelStudioServer) -> Project:
    """Return an empty project of this test's own."""
    mark = project_mark("lake", label_studio.new_name("q"), "anna")
    return server.create_project(mark, label_studio.new_name("q") + " · anna", CONFIG)


def tasks(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Return tasks with a prediction each."""
    prediction = {"result": [{**ANSWER[0], "value": {"choices": ["a"]}}], "score": 0.5}
    data = [{"text": f"text {n}", "dataplat_id": f"{n:032x}"} for n in range(start, start + count)]
    return [{"data": each, "predictions": [prediction]} for each in data]


class TestProjects:
    def test_found_by_its_mark(self, label_studio: LabelStudio, server: LabelStudioServer) -> None:
        """A project is found by the beginning of its mark, with its config and the number of its tasks."""
        queue = label_studio.new_name("q")
        made = [
            server.create_project(f"dataplat:x:{queue}:{who}", f"{queue} · {who}", CONFIG) for who in ("anna", "bob")
        ]
        server.import_tasks(made[1].id, tasks(3))
        found = server.projects(f"dataplat:x:{queue}:")
        assert [(each.id, each.tasks, each.config) for each in found] == [
            (made[0].id, 0, CONFIG),
            (made[1].id, 3, CONFIG),
        ]
        assert server.projects(f"dataplat:y:{queue}:") == []

    @pytest.mark.parametrize("title", ["q", "x" * 80, "ääh · ß"])
    def test_any_title(self, server: LabelStudioServer, label_studio: LabelStudio, title: str) -> None:
        """Titles that the server would refuse are made to fit, and one title twice is no error."""
        mark = f"dataplat:x:{label_studio.new_name('q')}:"
        first, second = (server.create_project(mark + who, title, CONFIG) for who in "ab")
        assert [each.id for each in server.projects(mark)] == [first.id, second.id]

    def test_config_changes(self, server: LabelStudioServer, project: Project) -> None:
        """Another config is shown from now on; one that cannot be read is refused with the reason."""
        wider = CONFIG.replace("</Choices>", '<Choice value="c"/></Choices>')
        server.set_config(project.id, wider)
        assert server.projects(project.mark)[0].config == wider
        with pytest.raises(LabelServerError, match="HTTP 400"):
            server.set_config(project.id, "<View>")


class TestTasks:
    def test_ids_in_order(self, server: LabelStudioServer, project: Project) -> None:
        """Tasks get ascending ids in the order in which they were given, and are listed so with whose they are."""
        ids = server.import_tasks(project.id, tasks(25))
        assert ids == sorted(ids)
        listed = list(server.list_tasks(project.id))
        assert [(each.id, each.task) for each in listed] == [(task, f"{n:032x}") for n, task in enumerate(ids)]
        assert [each.id for each in server.list_tasks(project.id, after=ids[20])] == ids[21:]
        assert server.import_tasks(project.id, []) == []

    def test_listed_over_pages(
        self, server: LabelStudioServer, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However small the pages are, each task is listed once."""
        ids = server.import_tasks(project.id, tasks(25))
        monkeypatch.setattr("dataplat.labeling.label_studio._http.TASKS_A_PAGE", 7)
        assert [each.id for each in server.list_tasks(project.id)] == ids

    def test_what_hangs_on_a_task(self, label_studio: LabelStudio, server: LabelStudioServer, project: Project) -> None:
        """Answers count, skips too; somebody's draft is told."""
        ids = server.import_tasks(project.id, tasks(4))
        with label_studio.http() as http:
            http.post(f"/api/tasks/{ids[0]}/annotations", json={"result": ANSWER}).raise_for_status()
            http.post(f"/api/tasks/{ids[1]}/annotations", json={"result": [], "was_cancelled": True}).raise_for_status()
            http.post(f"/api/tasks/{ids[2]}/drafts", json={"result": ANSWER, "lead_time": 1}).raise_for_status()
        listed = [(each.annotations, each.drafts) for each in server.list_tasks(project.id)]
        assert listed == [(1, 0), (1, 0), (0, 1), (0, 0)]

    def test_deleted(self, server: LabelStudioServer, project: Project) -> None:
        """Tasks are deleted; those that are gone already, and those of another project, are passed over."""
        ids = server.import_tasks(project.id, tasks(5))
        other = server.create_project(project.mark + "x", "other", CONFIG)
        theirs = server.import_tasks(other.id, tasks(1))
        server.delete_tasks(project.id, [*ids[:2], 10**9, *theirs])
        server.delete_tasks(project.id, ids[:2])
        server.delete_tasks(project.id, [])
        assert [each.id for each in server.list_tasks(project.id)] == ids[2:]
        assert [each.id for each in server.list_tasks(other.id)] == theirs

    def test_data_replaced(self, server: LabelStudioServer, project: Project) -> None:
        """A task's data is replaced as a whole, and it counts as changed."""
        (task,) = server.import_tasks(project.id, tasks(1))
        before = next(server.list_tasks(project.id)).updated_at
        server.update_task(task, {"text": "new", "dataplat_id": "1" * 32})
        after = next(server.list_tasks(project.id))
        assert after.task == "1" * 32
        assert after.updated_at > before

    def test_data_that_does_not_fit(self, server: LabelStudioServer, project: Project) -> None:
        """Tasks without what the config shows are refused, all of them, with the reason."""
        with pytest.raises(LabelServerError, match='"text" key is expected'):
            server.import_tasks(project.id, [*tasks(2), {"data": {"other": 1}}])
        assert list(server.list_tasks(project.id)) == []


class TestAnswers:
    def test_changes(self, label_studio: LabelStudio, server: LabelStudioServer, project: Project) -> None:
        """Answers made, edited, skipped and deleted are all found by the time of the change, and nothing else."""
        ids = server.import_tasks(project.id, tasks(6))

        def since_last(start: datetime) -> dict[int, list[Any]]:
            return {each["id"]: each["annotations"] for each in server.changed_tasks(project.id, start)}

        def newest() -> datetime:
            return max(each.updated_at for each in server.list_tasks(project.id)) + timedelta(microseconds=1)

        with label_studio.http() as http:
            mark = newest()
            made = http.post(f"/api/tasks/{ids[0]}/annotations", json={"result": ANSWER, "lead_time": 2.5}).json()
            found = since_last(mark)
            assert [(each["id"], each["result"]) for each in found[ids[0]]] == [(made["id"], ANSWER)]
            assert set(found) == {ids[0]}
            assert len(found[ids[0]][0]["unique_id"]) == 36  # as the export has it; lists of the server leave it out
            mark = newest()
            http.patch(f"/api/annotations/{made['id']}", json={"result": []}).raise_for_status()
            assert since_last(mark)[ids[0]][0]["result"] == []
            mark = newest()
            http.post(f"/api/tasks/{ids[3]}/annotations", json={"result": [], "was_cancelled": True}).raise_for_status()
            assert [each["was_cancelled"] for each in since_last(mark)[ids[3]]] == [True]
            mark = newest()
            http.delete(f"/api/annotations/{made['id']}").raise_for_status()
            assert since_last(mark) == {ids[0]: []}
            assert since_last(newest()) == {}

    def test_export(self, label_studio: LabelStudio, server: LabelStudioServer, project: Project) -> None:
        """The export gives every task that somebody answered or skipped, in pieces, as `changed_tasks` gives them."""
        ids = server.import_tasks(project.id, tasks(5))
        with label_studio.http() as http:
            for task in ids[1:4]:
                http.post(f"/api/tasks/{task}/annotations", json={"result": ANSWER}).raise_for_status()
        with server.export(project.id) as pieces:
            exported = json.loads(b"".join(pieces))
        assert [each["id"] for each in exported] == ids[1:4]
        changed = list(server.changed_tasks(project.id, datetime(2020, 1, 1, tzinfo=UTC)))
        assert [each for each in changed if each["annotations"]] == exported
        assert [each["id"] for each in changed] == ids

    def test_nothing_answered(self, server: LabelStudioServer, project: Project) -> None:
        """The export of a project that nobody has answered is an empty array."""
        server.import_tasks(project.id, tasks(1))
        with server.export(project.id) as pieces:
            assert json.loads(b"".join(pieces)) == []

    def test_overlap_is_not_enforced(
        self, label_studio: LabelStudio, server: LabelStudioServer, project: Project
    ) -> None:
        """`maximum_annotations` keeps nobody from answering once more: assignment is where a task is pushed."""
        (task,) = server.import_tasks(project.id, tasks(1))
        with label_studio.http() as http:
            answers = [http.post(f"/api/tasks/{task}/annotations", json={"result": ANSWER}) for _ in range(3)]
        assert [each.status_code for each in answers] == [201] * 3
        assert next(server.list_tasks(project.id)).annotations == 3

    def test_empty_answers_are_taken(
        self, label_studio: LabelStudio, server: LabelStudioServer, project: Project
    ) -> None:
        """An answer that says nothing is taken, though the project is told not to: only its page heeds that."""
        (task,) = server.import_tasks(project.id, tasks(1))
        with label_studio.http() as http:
            assert http.get(f"/api/projects/{project.id}").json()["enable_empty_annotation"] is False
            assert http.post(f"/api/tasks/{task}/annotations", json={"result": []}).status_code == 201

    def test_clock(self, server: LabelStudioServer) -> None:
        """The server's own clock is told to the second."""
        assert abs(server.clock() - datetime.now(UTC)) < timedelta(seconds=5)


class TestRefusals:
    def test_wrong_token(self, label_studio: LabelStudio) -> None:
        """A token that is wrong is denied by name of what was asked, and is not in the message."""
        stranger = label_studio.client("0123456789" * 4)
        with pytest.raises(LabelServerDenied, match="list the accounts: the token is wrong or has expired") as caught:
            stranger.users()
        assert "0123456789" not in str(caught.value)
        with pytest.raises(LabelServerDenied), stranger.export(1) as pieces:
            next(pieces)
        with pytest.raises(LabelServerDenied):
            next(stranger.list_tasks(1))

    def test_no_such_project(self, server: LabelStudioServer) -> None:
        """What is not there is told as the server tells it."""
        for ask in (
            lambda: list(server.list_tasks(10**6)),
            lambda: server.import_tasks(10**6, tasks(1)),
            lambda: list(server.changed_tasks(10**6, datetime.now(UTC))),
            lambda: server.export(10**6).__enter__(),
        ):
            with pytest.raises(LabelServerError, match="HTTP 404"):
                ask()

    def test_repr(self, server: LabelStudioServer, label_studio: LabelStudio) -> None:
        """A client says where it speaks to, and not as whom."""
        assert repr(server) == f"LabelStudioServer({label_studio.url!r})"
        assert label_studio.token not in repr(server._calls)


class TestWebhooks:
    def test_told_of_answers(self, label_studio: LabelStudio, server: LabelStudioServer, project: Project) -> None:
        """A URL is told, with the secret, of what is answered, edited and deleted; asked twice it is told once."""
        (task,) = server.import_tasks(project.id, tasks(1))
        with listening() as (url, heard):
            for secret in ("old", "s3cr3t", "s3cr3t"):
                server.watch(project.id, url, secret)
            with label_studio.http() as http:
                made = http.post(f"/api/tasks/{task}/annotations", json={"result": ANSWER}).json()
                http.patch(f"/api/annotations/{made['id']}", json={"result": []}).raise_for_status()
                http.delete(f"/api/annotations/{made['id']}").raise_for_status()
            server.import_tasks(project.id, tasks(1))
        assert heard == ["s3cr3t"] * 3


@contextmanager
def listening() -> Iterator[tuple[str, list[str]]]:
    """Run a server that notes the secrets it is told."""
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.headers[SECRET_HEADER])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = Thread(target=http.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}/hook", heard
        finally:
            http.shutdown()
            thread.join()
