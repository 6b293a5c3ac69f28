"""What people's answers come to: agreement, adjudication, consensus, blame, and what differs between versions."""

from __future__ import annotations

import math

import pytest

from dataplat._labels._compare import label_diff
from dataplat.errors import BadColumn, ConfigError, LabelError
from dataplat.labeling import krippendorff_alpha

BOB = ["carrier", "carrier", "other", "weather", "carrier"]
ANNA = ["carrier", "weather", "other", "weather", "carrier"]

# ------------------------------------------------------------------------------------------------------- agreement


def test_agreement_is_alpha_of_the_answers(answered):
    """Alpha is that of the answers as a table, kappa that of each two people, and labels are told one by one."""
    found = answered.queue.agreement(bootstrap=50)
    assert found.alpha is not None
    assert found.alpha.value == pytest.approx(krippendorff_alpha([ANNA, BOB]))
    assert found.alpha.low <= found.alpha.value <= found.alpha.high
    assert (found.level, found.tasks, found.answers) == ("nominal", 5, 10)
    [pair] = found.pairs.to_pylist()
    assert (pair["one"], pair["other"], pair["tasks"], pair["agreement"]) == ("anna", "bob", 5, 0.8)
    labels = {row["label"]: row for row in found.labels.to_pylist()}
    assert labels["other"]["alpha"] == 1.0
    assert labels["carrier"]["alpha"] < 1.0
    assert found.to_dict()["alpha"]["value"] == found.alpha.value


def test_agreement_is_the_same_with_what_is_remembered(answered):
    """After more pulls it is that of all answers, though old parts are not read again."""
    answered.queue.agreement(bootstrap=0)
    [first] = [each for each in answered.site.annotations() if each.result[0]["value"]["choices"] == ["carrier"]][-1:]
    answered.site.edit(first.id, answered.state.config.result_of("other"))
    answered.queue.pull()
    once = answered.queue.agreement(bootstrap=0)
    again = answered.queue.agreement(bootstrap=0)
    assert once.alpha is not None
    assert math.isnan(once.alpha.low)
    assert once.to_dict()["pairs"] == again.to_dict()["pairs"]
    assert once.alpha.value == again.alpha.value != pytest.approx(krippendorff_alpha([ANNA, BOB]))


def test_ratings_are_ordinal_and_numbers_of_an_interval(desk_of):
    """The level follows from what is asked; another may be given."""
    rating = '<View><Text name="t" value="$carrier"/><Rating name="stars" toName="t"/></View>'
    desk = desk_of(config=rating, show=["carrier"], key=["flight_id"])
    desk.queue.push()
    desk.say("anna", {0: 1, 1: 2, 2: 5, 3: 10})
    desk.say("bob", {0: 1, 1: 3, 2: 5, 3: 9})
    desk.queue.pull()
    found = desk.queue.agreement(bootstrap=0)
    assert found.level == "ordinal"
    assert found.alpha is not None
    assert found.alpha.value == pytest.approx(krippendorff_alpha([[1, 2, 5, 10], [1, 3, 5, 9]], "ordinal"))
    interval = desk.queue.agreement(level="interval", bootstrap=0)
    assert interval.alpha is not None
    assert interval.alpha.value == pytest.approx(krippendorff_alpha([[1, 2, 5, 10], [1, 3, 5, 9]], "interval"))


def test_boxes_agree_by_what_they_share(desk_of):
    """Where regions are drawn, F1 counts those that have their like; plain labels are not asked for."""
    boxes = (
        '<View><Image name="i" value="$chart"/>'
        '<RectangleLabels name="b" toName="i"><Label value="x"/></RectangleLabels></View>'
    )
    desk = desk_of(config=boxes, show=["chart"])
    desk.queue.push()
    for who, left in (("anna", 10.0), ("bob", 11.0)):
        for task in desk.placed(who).values():
            desk.site.answer(task, desk.people[who], [box("b", "i", left)])
    desk.queue.pull()
    found = desk.queue.agreement(bootstrap=0)
    assert found.alpha is None
    assert found.boxes is not None
    assert found.boxes.f1 == 1.0
    assert found.to_dict()["boxes"]["pairs"][0]["f1"] == 1.0
    assert found.spans is None


def box(control, image, left):
    """Return a box as Label Studio writes it."""
    where = {"x": left, "y": 10.0, "width": 20.0, "height": 20.0, "rotation": 0, "rectanglelabels": ["x"]}
    size = {"original_width": 100, "original_height": 100}
    return {"id": f"r{left}", "from_name": control, "to_name": image, "type": "rectanglelabels", "value": where} | size


def test_agreement_needs_two(desk_of):
    """One answer a task says nothing of agreement, and that is told."""
    desk = desk_of(overlap=1)
    desk.queue.push()
    with pytest.raises(LabelError, match="overlap of 2 or more"):
        desk.queue.agreement()


# ---------------------------------------------------------------------------------------------------- adjudication


def test_what_is_disputed_goes_before_who_decides(answered):
    """The one task on which they disagree lies before cy, with what both said, once; and the answer decides."""
    assert answered.queue.adjudicate(plan=True).placed == {"cy": 1}
    assert not answered.placed("cy")
    assert answered.queue.adjudicate().placed == {"cy": 1}
    assert list(answered.placed("cy")) == [answered.task(1)]
    [task] = [task for task in answered.site.tasks() if task.id == answered.placed("cy")[answered.task(1)]]
    assert {each.model_version for each in task.predictions} == {"anna", "bob"}
    assert answered.queue.adjudicate().placed == {}

    answered.say("cy", {1: "other"})
    answered.queue.pull()
    rows = {row["flight_id"]: row for row in answered.queue.consensus().rows().to_pylist()}
    assert rows[1]["label"] == "other"
    assert answered.queue.agreement(bootstrap=0).answers == 10, "who decides is not compared with the others"


def test_a_push_leaves_the_adjudicator_alone(answered):
    """What lies before who decides is neither moved nor counted as somebody's answer."""
    answered.queue.adjudicate()
    before = answered.placed("cy")
    result = answered.queue.push()
    assert not result.placed
    assert not result.moved
    assert answered.placed("cy") == before
    status = answered.queue.status()
    assert status.done == status.tasks == 5


def test_a_share_says_what_is_disputed(answered):
    """Half of the votes is not below a half."""
    assert answered.queue.adjudicate(0.5, plan=True).placed == {"cy": 0}
    with pytest.raises(ConfigError, match="share of votes"):
        answered.queue.adjudicate(0.0)


def test_nobody_decides(desk_of):
    """Without an adjudicator the error says how to name one, and one of those asked cannot be it."""
    desk = desk_of()
    with pytest.raises(LabelError, match="--adjudicator NAME"):
        desk.queue.adjudicate()
    with pytest.raises(ConfigError, match="anna decides between the others"):
        desk.queue.set(adjudicator="anna")


# ------------------------------------------------------------------------------------------------------- consensus


def test_labels_come_to_all_rows_that_look_the_same(answered):
    """Each row has a label, equal ones that of their task; the same again is no new version; lineage names both."""
    result = answered.queue.consensus().commit(into="labels")
    assert result.rows_added == 6
    rows = {row["flight_id"]: row for row in answered.lake["labels"].to_arrow().to_pylist()}
    assert rows[4]["task"] == rows[5]["task"]
    assert rows[4]["label"] == rows[5]["label"] == "carrier"
    assert rows[1]["tied"]
    assert answered.queue.consensus().commit(into="labels").version == result.version
    [entry] = answered.lake.log("labels")
    assert {name.partition("@")[0] for name in entry.inputs} == {"flights", "delays.annotations"}


def test_weights_are_given_or_from_gold(answered):
    """Weights decide a tie; without any, and without gold, there is nothing to weigh by."""
    by_bob = answered.queue.consensus("weighted", weights={"anna": 1, "bob": 2}).rows().to_pylist()
    assert {row["flight_id"]: row["label"] for row in by_bob}[1] == "carrier"
    with pytest.raises(ConfigError, match="nothing to weigh"):
        answered.queue.consensus("weighted")


# ----------------------------------------------------------------------------------------------------------- blame


def test_blame_tells_every_version_of_every_answer(answered):
    """Answered, changed, withdrawn: each with who, what, and the commit that brought it."""
    first, edited, withdrawn = answered.state.commit.id, *answered_ids(answered)
    answered.site.edit(edited, answered.state.config.result_of("other"))
    answered.queue.pull()
    second = answered.state.commit.id
    answered.site.withdraw(withdrawn)
    answered.queue.pull(full=True)
    told = [(each.what, each.annotator, each.label, each.commit) for each in answered.queue.blame({"flight_id": 1})]
    assert told == [
        ("answered", "anna", "weather", first),
        ("answered", "bob", "carrier", first),
        ("changed", "anna", "other", second),
        ("withdrawn", "bob", "carrier", answered.state.commit.id),
    ]


def answered_ids(desk):
    """Return the ids of anna's and of bob's answer to flight 1."""
    rows = {
        row["annotator"]: row["id"]
        for row in desk.queue.annotations.to_arrow().to_pylist()
        if row["task"] == desk.task(1)
    }
    return rows["anna"], rows["bob"]


def test_rows_are_named_by_any_column_or_by_task(answered):
    """A text stands for the value that it writes; a task's id may be cut short."""
    by_key = answered.queue.blame({"flight_id": "1"})
    assert by_key == answered.queue.blame({"carrier": "BB", "dep_delay": "10"})
    assert by_key == answered.queue.blame(answered.task(1)[:8])
    with pytest.raises(BadColumn, match="no column 'flight'.*flight_id"):
        answered.queue.blame({"flight": 1})
    with pytest.raises(BadColumn, match="'flight_id' is Int64"):
        answered.queue.blame({"flight_id": "x"})
    with pytest.raises(LabelError, match="no task of flight_id=99"):
        answered.queue.blame({"flight_id": 99})


# ------------------------------------------------------------------------------------------------------------ diff


def test_labels_that_differ_are_counted_by_what_they_became(answered):
    """Of two versions of labels: which rows have another, and how often each became which."""
    answered.queue.consensus("weighted", weights={"anna": 1, "bob": 2}).commit(into="labels")
    answered.queue.consensus("weighted", weights={"anna": 2, "bob": 1}).commit(into="labels")
    found = label_diff(answered.lake, "labels~1", "labels")
    assert found.rows.to_pylist() == [{"flight_id": 1, "before": "carrier", "after": "weather"}]
    assert found.moves.to_pylist() == [{"before": "carrier", "after": "weather", "rows": 1}]
    with pytest.raises(BadColumn, match="no column 'labl'.*label"):
        label_diff(answered.lake, "labels~1", "labels", "labl")
