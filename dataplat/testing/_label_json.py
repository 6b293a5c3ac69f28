"""How a fake Label Studio writes what it holds: the fields of release 1.23, as its API and its export have them.

An answer in a list of tasks has no `unique_id`; an answer in an export has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dataplat.testing._label_state import Annotation, Draft, Prediction, Project, Task, User

_ORGANIZATION = 1


def time(value: datetime | None) -> str | None:
    """Return a time as the API writes it."""
    return None if value is None else value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def user(value: User) -> dict[str, Any]:
    """Return an account as `GET /api/users/` lists it."""
    return {
        "id": value.id,
        "first_name": value.name,
        "last_name": "",
        "username": value.name,
        "email": value.email,
        "last_activity": "2026-01-01T00:00:00.000000Z",
        "custom_hotkeys": {},
        "avatar": None,
        "initials": value.name[:2],
        "phone": "",
        "active_organization": _ORGANIZATION,
        "active_organization_meta": {"title": "Label Studio", "email": "admin@example.com"},
        "allow_newsletters": None,
        "date_joined": "2026-01-01T00:00:00.000000Z",
    }


def project(value: Project) -> dict[str, Any]:
    """Return a project, counters included."""
    tasks = list(value.tasks.values())
    answers = [each for task in tasks for each in task.annotations]
    skipped = sum(each.was_cancelled for each in answers)
    finished = sum(bool(task.annotations) for task in tasks)
    settings = {"maximum_annotations": 1, "show_skip_button": True, "enable_empty_annotation": True, **value.settings}
    return settings | {
        "id": value.id,
        "title": value.title,
        "description": value.description,
        "label_config": value.label_config,
        "organization": _ORGANIZATION,
        "created_by": {"id": value.created_by},
        "created_at": time(value.created_at),
        "task_number": len(tasks),
        "finished_task_number": finished,
        "num_tasks_with_annotations": sum(any(not each.was_cancelled for each in task.annotations) for task in tasks),
        "useful_annotation_number": len(answers) - skipped,
        "skipped_annotations_number": skipped,
        "ground_truth_number": sum(each.ground_truth for each in answers),
        "total_annotations_number": len(answers),
        "total_predictions_number": sum(len(task.predictions) for task in tasks),
        "queue_total": len(tasks),
        "queue_done": finished,
    }


def listed_task(value: Task, *, everything: bool) -> dict[str, Any]:
    """Return a task as `GET /api/tasks/` lists it, with answers and predictions where all fields are asked for."""
    more: dict[str, Any] = {}
    if everything:
        done = [each.created_at for each in value.annotations if not each.was_cancelled]
        more = {
            "annotations": [annotation(each, value) for each in value.annotations],
            "predictions": [prediction(each, value) for each in value.predictions],
            "completed_at": time(min(done, default=None)),
            "draft_exists": bool(value.drafts),
        }
    shown = [draft(each, value) for each in value.drafts] if everything else []
    return (
        more
        | _task(value)
        | {
            "drafts": shown,
            "annotators": sorted({each.completed_by for each in value.annotations}),
            "annotations_ids": ",".join(str(each.id) for each in value.annotations) if everything else "",
            "updated_by": [{"user_id": value.updated_by}] if value.updated_by else [],
            "file_upload": None,
            "is_labeled": bool(value.annotations),
            "overlap": 1,
        }
    )


def exported_task(value: Task) -> dict[str, Any]:
    """Return a task as an export has it."""
    return {
        **_task(value),
        "annotations": [_exported_annotation(each, value) for each in value.annotations],
        "drafts": [draft(each, value) for each in value.drafts],
        "predictions": [each.id for each in value.predictions],
        "updated_by": value.updated_by,
        "allow_skip": True,
    }


def _task(value: Task) -> dict[str, Any]:
    skipped = sum(each.was_cancelled for each in value.annotations)
    return {
        "id": value.id,
        "data": value.data,
        "meta": value.meta,
        "created_at": time(value.created_at),
        "updated_at": time(value.updated_at),
        "inner_id": value.inner_id,
        "total_annotations": len(value.annotations) - skipped,
        "cancelled_annotations": skipped,
        "total_predictions": len(value.predictions),
        "comment_count": 0,
        "unresolved_comment_count": 0,
        "last_comment_updated_at": None,
        "comment_authors": [],
        "project": value.project,
    }


def annotation(value: Annotation, task: Task) -> dict[str, Any]:
    """Return an answer as the API gives it."""
    return {
        "id": value.id,
        "result": value.result,
        "created_username": f" user, {value.completed_by}",
        "created_ago": "0\xa0minutes",
        "completed_by": value.completed_by,
        "was_cancelled": value.was_cancelled,
        "ground_truth": value.ground_truth,
        "created_at": time(value.created_at),
        "updated_at": time(value.updated_at),
        "draft_created_at": None,
        "lead_time": value.lead_time,
        "import_id": None,
        "last_action": None,
        "bulk_created": False,
        "task": task.id,
        "project": task.project,
        "updated_by": value.updated_by,
        "parent_prediction": value.parent_prediction,
        "parent_annotation": value.parent_annotation,
        "last_created_by": None,
    }


def _exported_annotation(value: Annotation, task: Task) -> Mapping[str, Any]:
    plain = annotation(value, task)
    for name in ("created_username", "created_ago"):
        del plain[name]
    results = value.result if isinstance(value.result, list) else []
    return plain | {
        "prediction": {} if value.prediction is None else prediction(value.prediction, task),
        "result_count": len(results),
        "unique_id": value.unique_id,
    }


def prediction(value: Prediction, task: Task) -> dict[str, Any]:
    """Return what a form is prefilled with."""
    return {
        "id": value.id,
        "result": value.result,
        "model_version": value.model_version,
        "created_ago": "0\xa0minutes",
        "score": value.score,
        "cluster": None,
        "neighbors": None,
        "mislabeling": 0.0,
        "created_at": time(value.created_at),
        "updated_at": time(value.created_at),
        "model": None,
        "model_run": None,
        "task": task.id,
        "project": task.project,
    }


def draft(value: Draft, task: Task) -> dict[str, Any]:
    """Return what somebody has begun."""
    return {
        "id": value.id,
        "user": value.user,
        "result": value.result,
        "lead_time": None,
        "task": task.id,
        "annotation": None,
        "created_at": time(value.created_at),
        "updated_at": time(value.created_at),
    }
