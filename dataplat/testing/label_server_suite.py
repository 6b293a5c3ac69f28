"""What every `LabelServer` must do, as a pytest class: the fake and a real Label Studio pass it through the same client.

Subclass it and give it the fixtures `server` (a client) and `people` (somebody who acts as annotators do). Import it by
module, else pytest collects the class itself, without a server.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dataplat.errors import LabelServerDenied, LabelServerError
from dataplat.labeling.server import LabelServer, Project, ServerTask

CONFIG = """<View><Text name="text" value="$text"/>
<Choices name="kind" toName="text"><Choice value="a"/><Choice value="b"/></Choices></View>"""
OTHER = CONFIG.replace('"a"', '"c"')
MINUTE = timedelta(minutes=1)

ODD_TEXTS = [
    "",
    " leading and trailing ",
    "line\nbreak\tand tab \\ backslash / slash",
    "quotes ' \" ` <b>&amp;</b> %s %% {} $text",
    "Zürich, 東京, עברית, 👩‍👩‍👧 and 🏳️‍🌈",
    "é and e\u0301",
    "\u2028 and \u2029 and \ufeff",
    "x" * 100_000,
]


class People:
    """Annotators, who speak to the server through the SDK alone, as a page would."""

    def __init__(self, url: str, token: str) -> None:
        import httpx
        from label_studio_sdk.base_client import LabelStudioBase

        self._url = url
        self._http = httpx.Client(timeout=60, headers={"Authorization": f"Token {token}"})
        self._sdk = LabelStudioBase(base_url=url, api_key=token, httpx_client=self._http)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def answer(self, task: int, choice: str = "a", **more: Any) -> int:
        """Submit an answer; return its id."""
        return self._id(self._sdk.annotations.create(task, result=choice_of(choice), lead_time=2.5, **more))

    def answer_with(self, task: int, result: Any) -> int:
        """Submit whatever result."""
        return self._id(self._sdk.annotations.create(task, result=result, lead_time=1.0))

    def skip(self, task: int) -> int:
        """Skip a task."""
        return self._id(self._sdk.annotations.create(task, result=[], was_cancelled=True))

    def begin(self, task: int, choice: str = "a") -> None:
        """Begin an answer, and leave it."""
        made = self._http.post(
            f"{self._url}/api/tasks/{task}/drafts", json={"result": choice_of(choice), "lead_time": 1}
        )
        assert made.status_code == 201

    def edit(self, annotation: int, choice: str) -> None:
        """Change an answer."""
        self._sdk.annotations.update(annotation, result=choice_of(choice))

    def withdraw(self, annotation: int) -> None:
        """Delete an answer."""
        self._sdk.annotations.delete(annotation)

    @staticmethod
    def _id(made: Any) -> int:
        assert made.id is not None
        return int(made.id)


def choice_of(choice: str) -> list[dict[str, Any]]:
    """Return the result of a choice."""
    return [{"id": "r1", "from_name": "kind", "to_name": "text", "type": "choices", "value": {"choices": [choice]}}]


def tasks_of(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Return so many tasks."""
    return [{"data": {"text": f"text {n}", "dataplat_id": f"{n:032x}"}} for n in range(start, start + count)]


def exported(server: LabelServer, project: int) -> list[dict[str, Any]]:
    """Return what an export holds."""
    with server.export(project) as pieces:
        found = json.loads(b"".join(pieces))
    assert isinstance(found, list)
    return found


def listed(server: LabelServer, project: int, after: int = 0) -> list[ServerTask]:
    """Return all tasks."""
    return list(server.list_tasks(project, after=after))


def changed(server: LabelServer, project: int, since: datetime) -> dict[int, dict[str, Any]]:
    """Return the tasks that changed, by id; each comes once."""
    found = list(server.changed_tasks(project, since))
    by_id = {each["id"]: each for each in found}
    assert len(by_id) == len(found)
    return by_id


class ServerConformance:
    """Projects are found again, tasks land once, answers come back as they were given."""

    @pytest.fixture
    def mark(self) -> str:
        """Return a mark that no other project has."""
        return f"dataplat:{uuid.uuid4().hex}:queue:anna"

    @pytest.fixture
    def project(self, server: LabelServer, mark: str) -> Project:
        """Return a project of this test's own."""
        return server.create_project(mark, "queue · anna", CONFIG)

    # ---------------------------------------------------------------------------------------------- people, projects

    def test_users_have_ids_and_addresses(self, server: LabelServer) -> None:
        """Whoever may ask is among the users."""
        users = server.users()
        assert users
        assert all(each.id > 0 and "@" in each.email and each.name for each in users)
        assert len({each.id for each in users}) == len(users)

    def test_a_project_is_found_by_its_mark(self, server: LabelServer, project: Project, mark: str) -> None:
        """The project that was made is the one that its mark finds, with its config, and no task yet."""
        assert (project.mark, project.tasks) == (mark, 0)
        assert server.projects(mark) == [project]
        assert server.projects(mark.removesuffix("anna")) == [project]
        assert server.projects(mark + "x") == []
        assert same_xml(project.config, CONFIG)

    def test_projects_of_one_mark_are_all_found(self, server: LabelServer, project: Project, mark: str) -> None:
        """Two callers at once may make a project each: both are seen."""
        second = server.create_project(mark, "queue · anna", CONFIG)
        assert second.id != project.id
        assert {each.id for each in server.projects(mark)} == {project.id, second.id}

    @pytest.mark.parametrize("name", ["jörg müller", "a:b", "x" * 64, "<b>&'\"", "日本"])
    def test_marks_hold_any_name(self, server: LabelServer, name: str) -> None:
        """Whatever a queue's people are called, their project is found, and no other."""
        mark = f"dataplat:{uuid.uuid4().hex}:q:{name}"
        made = server.create_project(mark, f"q · {name}"[:50], CONFIG)
        assert [each.id for each in server.projects(mark)] == [made.id]
        assert server.projects(mark)[0].mark == mark

    def test_the_number_of_tasks_is_told(self, server: LabelServer, project: Project, mark: str) -> None:
        """A project says how many tasks lie in it."""
        ids = server.import_tasks(project.id, tasks_of(5))
        assert server.projects(mark)[0].tasks == 5
        server.delete_tasks(project.id, ids[:2])
        assert server.projects(mark)[0].tasks == 3

    def test_a_config_is_changed(self, server: LabelServer, people: People, project: Project, mark: str) -> None:
        """Another config is shown from now on; tasks and answers stay, also where it lost the choice that they made."""
        (task,) = server.import_tasks(project.id, tasks_of(1))
        people.answer(task, "a")
        server.set_config(project.id, OTHER)
        assert same_xml(server.projects(mark)[0].config, OTHER)
        (found,) = exported(server, project.id)
        assert found["annotations"][0]["result"] == choice_of("a")

    def test_a_config_that_is_no_xml_is_refused(self, server: LabelServer, project: Project, mark: str) -> None:
        """What cannot be a config is an error, and the old one stays."""
        with pytest.raises(LabelServerError):
            server.set_config(project.id, "<View><Text")
        assert same_xml(server.projects(mark)[0].config, CONFIG)
        with pytest.raises(LabelServerError):
            server.create_project(mark, "bad", "<View><Text")

    # ------------------------------------------------------------------------------------------------------- tasks

    def test_tasks_land_once_and_in_order(self, server: LabelServer, project: Project) -> None:
        """Each task gets an id; they are listed by it, each saying whose question it is."""
        ids = server.import_tasks(project.id, tasks_of(7))
        assert len(set(ids)) == 7
        found = listed(server, project.id)
        assert [each.id for each in found] == sorted(ids)
        assert {each.id: each.task for each in found} == {id: f"{n:032x}" for n, id in enumerate(ids)}
        assert all((each.annotations, each.drafts) == (0, 0) for each in found)
        assert all(each.updated_at.utcoffset() == timedelta(0) for each in found)

    def test_tasks_after_an_id_are_listed(self, server: LabelServer, project: Project) -> None:
        """Who knows the tasks up to an id asks for those after it."""
        ids = sorted(server.import_tasks(project.id, tasks_of(5)))
        assert [each.id for each in listed(server, project.id, ids[2])] == ids[3:]
        assert listed(server, project.id, ids[-1]) == []

    def test_more_tasks_than_a_page_holds(self, server: LabelServer, project: Project) -> None:
        """Pages are a matter of the server: all tasks are listed, each once."""
        ids = server.import_tasks(project.id, tasks_of(1_234))
        assert [each.id for each in listed(server, project.id)] == sorted(ids)
        assert [each.id for each in listed(server, project.id, sorted(ids)[99])] == sorted(ids)[100:]

    def test_the_same_task_may_be_there_twice(self, server: LabelServer, project: Project) -> None:
        """The server knows nothing of our names: what is imported twice is there twice."""
        ids = server.import_tasks(project.id, tasks_of(1)) + server.import_tasks(project.id, tasks_of(1))
        assert [(each.id, each.task) for each in listed(server, project.id)] == [(id, "0" * 32) for id in ids]

    def test_tasks_without_our_name_are_listed(self, server: LabelServer, project: Project) -> None:
        """What somebody imported by hand has no name of ours."""
        server.import_tasks(project.id, [{"data": {"text": "by hand"}}])
        assert [each.task for each in listed(server, project.id)] == [""]

    def test_a_task_that_lacks_what_is_shown_is_refused(self, server: LabelServer, project: Project) -> None:
        """An import of which one task lacks a column is an error, and none of it lands."""
        with pytest.raises(LabelServerError, match="text"):
            server.import_tasks(project.id, [*tasks_of(2), {"data": {"dataplat_id": "f" * 32}}])
        assert listed(server, project.id) == []

    @pytest.mark.parametrize("text", ODD_TEXTS, ids=range(len(ODD_TEXTS)))
    def test_any_text_comes_back(self, server: LabelServer, people: People, project: Project, text: str) -> None:
        """Data of a task is what was sent."""
        data = {"text": text, "dataplat_id": "a" * 32, "more": {"list": [1, 2.5, None, True, text]}}
        (id,) = server.import_tasks(project.id, [{"data": data}])
        people.answer(id)
        assert exported(server, project.id)[0]["data"] == data
        assert changed(server, project.id, long_ago())[id]["data"] == data

    def test_predictions_land_with_their_tasks(self, server: LabelServer, people: People, project: Project) -> None:
        """What a form is prefilled with is imported in the same call, and is no answer."""
        prediction = {"model_version": "m", "score": 0.25, "result": choice_of("b")}
        (id,) = server.import_tasks(project.id, [{**tasks_of(1)[0], "predictions": [prediction]}])
        assert [(each.annotations, each.id) for each in listed(server, project.id)] == [(0, id)]
        assert exported(server, project.id) == []
        people.answer(id)
        (found,) = exported(server, project.id)
        assert found["total_predictions"] == 1

    def test_data_is_replaced(self, server: LabelServer, project: Project) -> None:
        """A task's data is replaced, and its id stays."""
        ids = server.import_tasks(project.id, tasks_of(2))
        server.update_task(ids[1], {"text": "other", "dataplat_id": "c" * 32})
        assert {each.id: each.task for each in listed(server, project.id)} == {ids[0]: "0" * 32, ids[1]: "c" * 32}

    def test_tasks_are_deleted_once(self, server: LabelServer, people: People, project: Project) -> None:
        """What is deleted is gone with its answers; to delete it again is no error."""
        ids = server.import_tasks(project.id, tasks_of(4))
        people.answer(ids[0])
        server.delete_tasks(project.id, ids[:2])
        server.delete_tasks(project.id, [*ids[:3], 999_999_999])
        server.delete_tasks(project.id, [])
        assert [each.id for each in listed(server, project.id)] == ids[3:]
        assert exported(server, project.id) == []

    def test_only_tasks_of_the_project_are_deleted(self, server: LabelServer, project: Project, mark: str) -> None:
        """A task of another project stays, whatever is asked."""
        other = server.create_project(mark, "other", CONFIG)
        (mine,) = server.import_tasks(project.id, tasks_of(1))
        (theirs,) = server.import_tasks(other.id, tasks_of(1))
        server.delete_tasks(project.id, [mine, theirs])
        assert [each.id for each in listed(server, other.id)] == [theirs]
        assert listed(server, project.id) == []

    def test_only_unanswered_tasks_are_deleted(self, server: LabelServer, people: People, project: Project) -> None:
        """The server itself sees to it that nothing goes that somebody answered, skipped or began; who stays is told."""
        ids = server.import_tasks(project.id, tasks_of(6))
        people.answer(ids[0])
        people.skip(ids[1])
        people.begin(ids[2])
        assert server.delete_unanswered(project.id, [*ids[:5], 999_999_999]) == set(ids[:3])
        assert [each.id for each in listed(server, project.id)] == [*ids[:3], ids[5]]
        assert server.delete_unanswered(project.id, []) == set()

    def test_the_clock_is_the_one_of_updates(self, server: LabelServer, project: Project) -> None:
        """What the server says the time is stands beside when it says that a task was updated."""
        before = server.clock()
        server.import_tasks(project.id, tasks_of(1))
        (task,) = listed(server, project.id)
        assert before <= task.updated_at <= server.clock() + timedelta(seconds=1)

    # ----------------------------------------------------------------------------------------------------- answers

    def test_an_answer_is_counted(self, server: LabelServer, people: People, project: Project) -> None:
        """A task that was answered or skipped says that something hangs on it."""
        ids = server.import_tasks(project.id, tasks_of(3))
        people.answer(ids[0])
        people.skip(ids[1])
        assert [each.annotations for each in listed(server, project.id)] == [1, 1, 0]

    def test_an_export_holds_what_was_answered(self, server: LabelServer, people: People, project: Project) -> None:
        """Answers and skips are exported with who gave them; tasks without any are not."""
        assert exported(server, project.id) == []
        ids = server.import_tasks(project.id, tasks_of(3))
        people.answer(ids[0], "b")
        people.skip(ids[2])
        first, second = sorted(exported(server, project.id), key=lambda each: each["id"])
        assert (first["id"], second["id"]) == (ids[0], ids[2])
        assert first["data"]["dataplat_id"] == "0" * 32
        (answer,), (skip,) = first["annotations"], second["annotations"]
        assert (answer["result"], answer["was_cancelled"], answer["lead_time"]) == (choice_of("b"), False, 2.5)
        assert (skip["result"], skip["was_cancelled"]) == ([], True)
        assert answer["completed_by"] in {each.id for each in server.users()}

    def test_an_empty_answer_is_an_answer(self, server: LabelServer, people: People, project: Project) -> None:
        """Somebody may submit nothing: it is there, and no skip."""
        (id,) = server.import_tasks(project.id, tasks_of(1))
        people.answer_with(id, [])
        (found,) = exported(server, project.id)
        assert [(each["result"], each["was_cancelled"]) for each in found["annotations"]] == [([], False)]

    def test_a_result_is_verbatim(self, server: LabelServer, people: People, project: Project) -> None:
        """Numbers, texts and keys of a result that the server knows nothing of come back as they were."""
        value = {
            "start": 0.1,
            "end": 1e-7,
            "big": 2**53 + 1,
            "ids": [[], {}],
            "ü": "👩‍👩‍👧",
            "choices": ["a"],
            "null": None,
        }
        result = [{"id": "ä/1", "from_name": "kind", "to_name": "text", "type": "choices", "value": value, "x": [True]}]
        (id,) = server.import_tasks(project.id, tasks_of(1))
        people.answer_with(id, result)
        assert exported(server, project.id)[0]["annotations"][0]["result"] == result
        assert changed(server, project.id, long_ago())[id]["annotations"][0]["result"] == result

    def test_what_changed_is_what_is_exported(self, server: LabelServer, people: People, project: Project) -> None:
        """An answer is the same whichever way it comes: what keeps it apart from others, too."""
        ids = server.import_tasks(project.id, tasks_of(3))
        people.answer(ids[0], "b")
        people.skip(ids[1])
        whole = {each["id"]: each for each in exported(server, project.id)}
        news = changed(server, project.id, long_ago())
        assert set(news) >= set(whole)
        names = (
            "task",
            "project",
            "parent_prediction",
            "parent_annotation",
            "id",
            "completed_by",
            "result",
            "was_cancelled",
            "ground_truth",
            "created_at",
            "updated_at",
            "lead_time",
        )
        for id, task in whole.items():
            assert (news[id]["data"], news[id]["updated_at"]) == (task["data"], task["updated_at"])
            here, there = (
                [{name: each[name] for name in names} for each in of["annotations"]] for of in (task, news[id])
            )
            assert here == there

    def test_only_what_changed_since_comes(self, server: LabelServer, people: People, project: Project) -> None:
        """From a moment on: an answer, an edit, a skip and an answer that was taken back each bring their task."""
        ids = server.import_tasks(project.id, tasks_of(6))
        first, second = people.answer(ids[0]), people.answer(ids[1])
        since = max(each.updated_at for each in listed(server, project.id))
        assert set(changed(server, project.id, since + MINUTE)) == set()
        after = since + timedelta(microseconds=1)
        assert set(changed(server, project.id, after)) == set()
        people.edit(first, "b")
        people.withdraw(second)
        people.skip(ids[2])
        people.answer(ids[3])
        news = changed(server, project.id, after)
        assert set(news) == set(ids[:4])
        assert news[ids[0]]["annotations"][0]["result"] == choice_of("b")
        assert news[ids[1]]["annotations"] == []
        assert news[ids[2]]["annotations"][0]["was_cancelled"] is True

    def test_the_moment_itself_counts(self, server: LabelServer, people: People, project: Project) -> None:
        """A task that was updated at the very moment comes."""
        (id,) = server.import_tasks(project.id, tasks_of(1))
        people.answer(id)
        at = listed(server, project.id)[0].updated_at
        assert set(changed(server, project.id, at)) == {id}
        assert set(changed(server, project.id, at + timedelta(microseconds=1))) == set()

    def test_many_changes_come_over_pages(self, server: LabelServer, people: People, project: Project) -> None:
        """More changed tasks than one page holds come all, each once."""
        ids = server.import_tasks(project.id, tasks_of(620))
        assert set(changed(server, project.id, long_ago())) == set(ids)

    # ------------------------------------------------------------------------------------------------------- errors

    @pytest.mark.parametrize(
        "call",
        [
            lambda server: server.set_config(999_999_999, CONFIG),
            lambda server: server.import_tasks(999_999_999, tasks_of(1)),
            lambda server: list(server.list_tasks(999_999_999)),
            lambda server: list(server.changed_tasks(999_999_999, long_ago())),
            lambda server: exported(server, 999_999_999),
            lambda server: server.update_task(999_999_999, {"text": "x"}),
            lambda server: server.delete_tasks(999_999_999, [1]),
        ],
        ids=["set_config", "import", "list", "changed", "export", "update", "delete"],
    )
    def test_what_is_not_there_is_an_error(self, server: LabelServer, call: Callable[[LabelServer], object]) -> None:
        """A project or task that nobody made is an error that names the server."""
        with pytest.raises(LabelServerError, match=r"127\.0\.0\.1"):
            call(server)

    def test_a_wrong_token_is_denied(self, connect: Callable[[str], LabelServer], project: Project) -> None:
        """Whoever has no right is told so at every call, and no token is told."""
        token = "f" * 40
        stranger = connect(token)
        calls: list[Callable[[], object]] = [
            stranger.users,
            lambda: stranger.projects("dataplat:"),
            lambda: stranger.create_project("x", "x", CONFIG),
            lambda: stranger.set_config(project.id, CONFIG),
            lambda: stranger.import_tasks(project.id, tasks_of(1)),
            lambda: list(stranger.list_tasks(project.id)),
            lambda: list(stranger.changed_tasks(project.id, long_ago())),
            lambda: exported(stranger, project.id),
            lambda: stranger.delete_tasks(project.id, [1]),
        ]
        for call in calls:
            with pytest.raises(LabelServerDenied) as raised:
                call()
            assert token not in str(raised.value)

    def test_pages_for_people(self, server: LabelServer, project: Project) -> None:
        """A link leads to the project, and to one task of it."""
        assert server.task_url(project.id).startswith(f"{server.url}/projects/{project.id}")
        assert str(4711) in server.task_url(project.id, 4711)


def long_ago() -> datetime:
    """Return a time before any server of ours."""
    return datetime(2020, 1, 1, tzinfo=UTC)


def same_xml(here: str, there: str) -> bool:
    """Say whether two configs are the same but for white space."""
    return "".join(here.split()) == "".join(there.split())
