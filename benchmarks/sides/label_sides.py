"""One side of the benchmark of a real Label Studio: SIDE URL TOKEN FOLDER TASKS; prints what the operation itself took.

`raw-push` and `push` bring so many texts before one annotator, by one call of the SDK and as a queue. `fill` imports
texts that are answered already into the project of a queue that `make` made; `raw-pull` downloads its export, `pull`
brings the answers into the lake; `change` edits one answer in a hundred, `pull-changed` brings those.
"""

import json
import os
import sys
import time
from pathlib import Path

ANNOTATOR = "bench"
CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="label" toName="text" choice="single">'
    '<Choice value="carrier"/><Choice value="weather"/><Choice value="other"/></Choices></View>'
)


def texts(count):
    return [f"flight {number} was late because of reason {number * 7919 % 1000}" for number in range(count)]


def server(url, token):
    """Return the server, which counts the bytes of answers as they are on the wire."""
    from dataplat.labeling.label_studio.client import LabelStudioServer

    return LabelStudioServer(url, token)


def counted(client):
    """Count the bytes of what a client of httpx gets, headers left out."""
    import httpx

    got = [0]

    class Counting(httpx.SyncByteStream):
        def __init__(self, stream):
            self.stream = stream

        def __iter__(self):
            for piece in self.stream:
                got[0] += len(piece)
                yield piece

        def close(self):
            self.stream.close()

    transport = client._transport  # noqa: SLF001
    handle = transport.handle_request

    def handled(request):
        response = handle(request)
        response.stream = Counting(response.stream)
        return response

    transport.handle_request = handled
    return got


def queue_of(folder, url, token, count=None):
    import pyarrow as pa

    import dataplat as dp

    lake = dp.open(Path(folder) / "lake")
    there = server(url, token)
    if count is None:
        return lake.label_queue("bench", server=there)
    lake.ingest(pa.table({"id": range(count), "text": texts(count)}), "texts", key=["id"])
    return lake.label_queue("bench", "texts", show=["text"], config=CONFIG, annotators=[ANNOTATOR], server=there)


def project_of(queue):
    from dataplat.labeling.server import project_mark

    return queue.server.projects(project_mark(queue.lake.id, queue.name, ANNOTATOR))[0]


def timed(what):
    start, cpu = time.perf_counter(), time.process_time()
    figures = what() or {}
    print(json.dumps({"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu} | figures))


def raw_push(url, token, folder, count):
    del folder
    from label_studio_sdk import LabelStudio

    sdk = LabelStudio(base_url=url, api_key=token)
    project = sdk.projects.create(title="raw push", label_config=CONFIG)
    tasks = [{"data": {"text": text, "dataplat_id": f"{number:032x}"}} for number, text in enumerate(texts(count))]
    long = {"timeout_in_seconds": 600}
    timed(
        lambda: sdk.projects.import_tasks(project.id, request=tasks, return_task_ids=True, request_options=long) and {}
    )


def push(url, token, folder, count):
    queue = queue_of(folder, url, token, count)
    queue.server.projects("warm")  # the SDK is imported
    timed(lambda: {"placed": sum(queue.push().placed.values())})


def make(url, token, folder, count):
    """Make a queue whose project holds so many answered tasks; the lake knows where they are, and of no answer."""
    from dataplat._labels._push import Placing, PushRequest, PushResult
    from dataplat._labels._state import State
    from dataplat._labels._tasks import queue_tasks, task_payload
    from dataplat.ingest._progress import Meter

    queue = queue_of(folder, url, token, count)
    state = State.at_head(queue.lake, "bench", "main")
    tasks = queue_tasks(state, Meter(), plan=False).table
    request = PushRequest("bench", "main", queue.server, lambda *_: "", Meter())
    placing = Placing(State.at_head(queue.lake, "bench", "main"), request, PushResult("bench"))
    project = placing.prepare([ANNOTATOR], tasks)[ANNOTATOR]
    choice = {
        "id": "abc",
        "from_name": "label",
        "to_name": "text",
        "type": "choices",
        "value": {"choices": ["weather"]},
    }
    answered = {"annotations": [{"result": [choice], "lead_time": 2.5}]}
    placing.send(project, ANNOTATOR, tasks, lambda row: task_payload(state, row, lambda *_: "") | answered)
    placing.commit()
    print(json.dumps({}))


def raw_pull(url, token, folder, count):
    del count
    from label_studio_sdk import LabelStudio

    queue = queue_of(folder, url, token)
    project = project_of(queue).id
    sdk = LabelStudio(base_url=url, api_key=token)

    def download():
        got = 0
        with (Path(folder) / "export.json").open("wb") as file:
            for piece in sdk.projects.exports.download_sync(
                project, export_type="JSON", download_all_tasks=False, request_options={"timeout_in_seconds": 600}
            ):
                got += file.write(piece)
        return {"bytes": got}

    timed(download)


def pull(url, token, folder, count):
    del count
    queue = queue_of(folder, url, token)
    queue.server.projects("warm")
    got = counted(queue.server._client)  # noqa: SLF001

    def bring():
        result = queue.pull()
        return {"new": result.new, "changed": result.changed, "bytes": got[0]}

    timed(bring)


def change(url, token, folder, count):
    del count
    import polars as pl

    queue = queue_of(folder, url, token)
    queue.server.projects("warm")
    ids = queue.annotations.to_polars(columns=["id"])["id"].sort().gather_every(100)
    choice = {"id": "abc", "from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": ["other"]}}
    assert isinstance(ids, pl.Series)
    for id_ in ids.to_list():
        queue.server._sdk.annotations.update(id_, result=[choice])  # noqa: SLF001
    print(json.dumps({"edited": len(ids)}))


def touch(url, token, folder, count):
    """Edit one answer, as somebody does now and then."""
    del count
    queue = queue_of(folder, url, token)
    project = project_of(queue).id
    task = next(iter(queue.server.list_tasks(project))).id
    choice = {
        "id": "abc",
        "from_name": "label",
        "to_name": "text",
        "type": "choices",
        "value": {"choices": ["weather"]},
    }
    queue.server._sdk.annotations.create(id=task, result=[choice])  # noqa: SLF001
    print(json.dumps({}))


SIDES = {
    "touch": touch,
    "raw-push": raw_push,
    "push": push,
    "make": make,
    "raw-pull": raw_pull,
    "pull": pull,
    "pull-changed": pull,
    "change": change,
}

if __name__ == "__main__":
    os.environ.pop("HTTP_PROXY", None)
    side, url, token, folder, count = sys.argv[1:]
    SIDES[side](url, token, folder, int(count))
