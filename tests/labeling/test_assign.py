"""Assignment: everybody is asked once, tasks by as many people as are wanted, and nothing that was answered moves."""

import datetime as dt
from collections import Counter
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dataplat.labeling.assign import Asked, Assignment, Placed, assign

NOW = dt.datetime(2026, 11, 28, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
PEOPLE = ("ann", "bob", "cy", "dee")
SEEN = {"open", "answered", "kept", "skipped"}
TAKEN = {"open", "answered", "kept"}


def tasks_of(ordinary, gold=0):
    """Return so many tasks, gold ones first."""
    return [Asked(f"g{number}", gold=True) for number in range(gold)] + [Asked(f"t{n}") for n in range(ordinary)]


@st.composite
def situations(draw):
    """Return a queue in any state: what is asked, where it lies, who is there."""
    tasks = tasks_of(draw(st.integers(0, 8)), draw(st.integers(0, 4)))
    state = st.sampled_from(["open", "answered", "skipped", "moved", "gone", "kept"])
    until = st.sampled_from([None, NOW - DAY, NOW + DAY])
    names = [*PEOPLE, "gone away"]
    pairs = st.tuples(st.sampled_from([each.task for each in tasks] + ["unknown"]), st.sampled_from(names))
    lying = draw(st.dictionaries(pairs, st.tuples(state, until), max_size=12))
    return {
        "tasks": tasks,
        "placements": [Placed(task, name, *rest) for (task, name), rest in lying.items()],
        "annotators": draw(st.lists(st.sampled_from(PEOPLE), unique=True)),
        "overlap": draw(st.integers(1, 3)),
        "now": NOW,
        "paused": draw(st.lists(st.sampled_from(PEOPLE), unique=True, max_size=2)),
        "limit": draw(st.none() | st.integers(1, 4)),
        "gold_every": draw(st.integers(1, 4)),
    }


def after(placements, done, until=NOW + DAY):
    """Return where tasks lie once an assignment is done."""
    lying = {(each.task, each.annotator): each for each in placements}
    for task, whose, name in done.move:
        lying[task, whose] = Placed(task, whose, "moved")
        lying[task, name] = Placed(task, name, "open", until)
    for task, name in done.create:
        lying[task, name] = Placed(task, name, "open", until)
    return list(lying.values())


def holders(placements, task, states):
    """Return who has a task in one of these states."""
    return {each.annotator for each in placements if each.task == task and each.state in states}


def open_of(placements):
    """Return how much lies open before each."""
    return Counter(each.annotator for each in placements if each.state == "open")


@settings(deadline=None)
@given(situations())
def test_nobody_is_asked_twice(given_):
    """Who has, had or skipped a task is not asked it again, and each pair is made once."""
    done = assign(**given_)
    pairs = [*done.create, *((task, name) for task, _, name in done.move)]
    assert len(set(pairs)) == len(pairs)
    for task, name in pairs:
        assert name not in holders(given_["placements"], task, SEEN)


@settings(deadline=None)
@given(situations())
def test_paused_people_and_strangers_get_nothing(given_):
    """Only who is asked now and not paused is given tasks, and only tasks of the queue."""
    done = assign(**given_)
    able = set(given_["annotators"]) - set(given_["paused"])
    assert {name for _, name in done.create} | {name for *_, name in done.move} <= able
    assert {task for task, _ in done.create} <= {each.task for each in given_["tasks"]}


@settings(deadline=None)
@given(situations())
def test_each_task_has_as_many_people_as_are_wanted(given_):
    """Overlap is reached where there are people for it, is never passed, and what is wanting is counted."""
    done = assign(**given_)
    later = after(given_["placements"], done)
    able, short = set(given_["annotators"]) - set(given_["paused"]), 0
    for each in given_["tasks"]:
        if each.gold:
            continue
        before = len(holders(given_["placements"], each.task, TAKEN))
        now = len(holders(later, each.task, TAKEN))
        assert before <= now <= max(before, given_["overlap"])
        missing = max(0, given_["overlap"] - now)
        short += missing
        if given_["limit"] is None:
            assert not missing or able <= holders(later, each.task, SEEN)
    assert done.wanting == short


@settings(deadline=None)
@given(situations())
def test_only_what_nobody_answers_moves(given_):
    """What moves was open, its lease run out or its holder not asked any more; everything else stays as it was."""
    done = assign(**given_)
    lying = {(each.task, each.annotator): each for each in given_["placements"]}
    gold = {each.task for each in given_["tasks"] if each.gold}
    for task, whose, name in done.move:
        was = lying[task, whose]
        assert was.state == "open"
        assert whose not in given_["annotators"] or was.until == NOW - DAY
        assert (name != whose, task in gold) == (True, False)
    moved = {(task, whose) for task, whose, _ in done.move}
    later = {(each.task, each.annotator): each for each in after(given_["placements"], done)}
    assert all(later[pair] == each for pair, each in lying.items() if pair not in moved and each.state in SEEN)


@settings(deadline=None)
@given(situations(), st.integers(1, 4))
def test_nobody_has_more_open_than_the_limit(given_, limit):
    """Nobody is given a task who has as many open as they may."""
    done = assign(**(given_ | {"limit": limit}))
    before, later = open_of(given_["placements"]), open_of(after(given_["placements"], done))
    assert all(count <= max(limit, before[name]) for name, count in later.items())


@settings(deadline=None)
@given(situations(), st.randoms(use_true_random=False))
def test_the_order_of_names_and_rows_says_nothing(given_, random):
    """The same queue gives the same assignment, however its people and placements are listed."""
    done = assign(**given_)
    shuffled = dict(given_)
    for name in ("placements", "annotators", "paused"):
        shuffled[name] = random.sample(given_[name], len(given_[name]))
    assert assign(**shuffled) == done


@settings(deadline=None)
@given(situations())
def test_what_is_done_is_done(given_):
    """Once an assignment is carried out there is nothing left to place, and what cannot move still cannot."""
    done = assign(**given_)
    again = assign(**(given_ | {"placements": after(given_["placements"], done)}))
    assert again.create == ()
    if given_["limit"] is None:
        assert (again.move, again.wanting) == ((), done.wanting)


@settings(deadline=None)
@given(situations())
def test_who_has_least_open_is_next(given_):
    """Of those who never had a task, it goes to one with least open; to somebody who had it, only if there is no other."""
    still = [each for each in given_["placements"] if each.state != "open" or each.until == NOW + DAY]
    given_ |= {"gold_every": 10**9, "limit": None, "annotators": [*PEOPLE, "gone away"], "placements": still}
    done = assign(**given_)
    assert done.move == ()
    able, lying = set(given_["annotators"]) - set(given_["paused"]), still
    for task, name in done.create:
        if task.startswith("g"):
            continue
        had = holders(lying, task, {*SEEN, "moved", "gone"})
        never, load = able - had, open_of(lying)
        assert (name in never) == bool(never)
        if never:
            assert load[name] == min(load[each] for each in never)
        lying = after(lying, Assignment(((task, name),), ()))


@settings(deadline=None)
@given(st.integers(0, 30), st.integers(1, 3), st.integers(2, 4))
def test_loads_differ_by_one_at_most(count, overlap, people):
    """Tasks are dealt evenly to people who begin together, two of whom never differ by two."""
    done = assign(tasks_of(count), [], PEOPLE[:people], overlap, NOW)
    loads = Counter(dict.fromkeys(PEOPLE[:people], 0)) + Counter(name for _, name in done.create)
    assert len(done.create) == count * min(overlap, people)
    assert max(loads.values(), default=0) - min((loads[name] for name in PEOPLE[:people]), default=0) <= 1
    for task in {task for task, _ in done.create}:
        assert len({name for each, name in done.create if each == task}) == min(overlap, people)


def test_pairs_of_people_vary():
    """Of four people with two a task all six pairs answer something together: agreement needs that."""
    done = assign(tasks_of(120), [], PEOPLE, 2, NOW)
    pairs = Counter(
        tuple(sorted(name for each, name in done.create if each == task)) for task in {task for task, _ in done.create}
    )
    assert set(pairs) == set(combinations(PEOPLE, 2))
    assert min(pairs.values()) >= 10


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 60), st.integers(0, 12), st.integers(1, 5))
def test_everybody_gets_gold_among_the_rest(count, gold, every):
    """Each full run of `gold_every` places before a person holds one gold task, in one order for all, while there are any."""
    done = assign(tasks_of(count, gold), [], PEOPLE[:2], 2, NOW, gold_every=every)
    for name in PEOPLE[:2]:
        seen = [task for task, whose in done.create if whose == name]
        golden = [task for task in seen if task.startswith("g")]
        assert golden == [f"g{number}" for number in range(len(golden))]
        full = [seen[start : start + every] for start in range(0, len(seen) - every + 1, every)]
        for number, run in enumerate(full[:gold]):
            assert sum(task.startswith("g") for task in run) == 1, number
        assert len(golden) <= min(gold, len(seen) // every + 1)


def test_nobody_can_tell_gold_by_its_place():
    """Where gold lies in a run differs by run and by person."""
    done = assign(tasks_of(400, 40), [], PEOPLE, 4, NOW)
    places = {
        name: [
            place % 10 for place, task in enumerate(t for t, whose in done.create if whose == name) if task[0] == "g"
        ]
        for name in PEOPLE
    }
    assert all(len(set(found)) > 5 for found in places.values())
    assert len({tuple(found) for found in places.values()}) == len(PEOPLE)


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 3), st.data())
def test_newcomers_and_new_tasks_move_nothing(count, overlap, data):
    """Another person, or more tasks, leave everything where it lies, and ask only what was wanting."""
    first = assign(tasks_of(count), [], PEOPLE[:3], overlap, NOW)
    lying = after([], first)
    answered = data.draw(st.sets(st.sampled_from(range(len(lying)))))
    lying = [
        Placed(each.task, each.annotator, "answered") if number in answered else each
        for number, each in enumerate(lying)
    ]
    joined = assign(tasks_of(count), lying, PEOPLE, overlap, NOW)
    assert (joined.create, joined.move) == ((), ())
    more = assign(tasks_of(count + 3), lying, PEOPLE, overlap, NOW)
    assert more.move == ()
    assert {task for task, _ in more.create} == {f"t{count + each}" for each in range(3)}


def test_a_lease_that_ran_out_moves_to_somebody_else():
    """Unanswered in time, a task goes to who never had it, else it stays; back it goes only from who is not asked any more."""
    late = [Placed("t0", "ann", "open", NOW - DAY)]
    assert assign(tasks_of(1), late, ["ann", "bob"], 1, NOW).move == (("t0", "ann", "bob"),)
    assert assign(tasks_of(1), late, ["ann"], 1, NOW) == Assignment((), ())
    assert assign(tasks_of(1), late, ["ann", "bob"], 1, NOW, paused=["bob"]).move == ()
    both = [Placed("t0", "ann", "moved"), Placed("t0", "bob", "open", NOW - DAY)]
    assert assign(tasks_of(1), both, ["ann", "bob", "cy"], 1, NOW).move == (("t0", "bob", "cy"),)
    assert assign(tasks_of(1), both, ["ann", "bob"], 1, NOW).move == ()
    assert assign(tasks_of(1), both, ["ann"], 1, NOW).move == (("t0", "bob", "ann"),)
    enough = [*late, Placed("t0", "bob", "answered")]
    assert assign(tasks_of(1), enough, PEOPLE, 1, NOW) == Assignment((), ())


def test_a_skipped_task_goes_to_the_next_person():
    """A skip is no answer: somebody else is asked, the same person is not, and in the end nobody is left."""
    one = [Placed("t0", "ann", "skipped")]
    assert assign(tasks_of(1), one, ["ann", "bob"], 1, NOW).create == (("t0", "bob"),)
    all_of_them = [*one, Placed("t0", "bob", "skipped")]
    assert assign(tasks_of(1), all_of_them, ["ann", "bob"], 1, NOW) == Assignment((), (), 1)


def test_what_was_deleted_on_the_server_is_asked_again():
    """An open task that is gone goes to somebody new, else to the same person; an answered one that is kept to nobody."""
    gone = [Placed("t0", "ann", "gone")]
    assert assign(tasks_of(1), gone, ["ann", "bob"], 1, NOW).create == (("t0", "bob"),)
    assert assign(tasks_of(1), gone, ["ann"], 1, NOW).create == (("t0", "ann"),)
    assert assign(tasks_of(1), [Placed("t0", "ann", "kept")], ["ann", "bob"], 1, NOW).create == ()


class Queue(RuleBasedStateMachine):
    """A queue through its life: pushes, answers, skips, people who come, go and pause, time that passes, tasks that come."""

    def __init__(self):
        super().__init__()
        self.now, self.overlap, self.gold_every = NOW, 2, 3
        self.count, self.people, self.paused = 3, {"ann", "bob"}, set()
        self.lying = {}
        self.answers = Counter()

    @rule(count=st.integers(1, 3))
    def more_tasks(self, count):
        """The source has more rows."""
        self.count += count

    @rule(name=st.sampled_from(PEOPLE))
    def come_or_go(self, name):
        """Somebody is asked from now on, or no more."""
        self.people ^= {name}

    @rule(name=st.sampled_from(PEOPLE))
    def pause_or_go_on(self, name):
        """Somebody is paused, or is not any more."""
        self.paused ^= {name}

    @rule(hours=st.integers(1, 72))
    def wait(self, hours):
        """Time passes."""
        self.now += dt.timedelta(hours=hours)

    @rule(limit=st.none() | st.integers(1, 3))
    def push(self, limit):
        """Tasks are placed as assigned."""
        done = assign(
            tasks_of(self.count, 2), self.lying.values(), self.people, self.overlap, self.now, self.paused, limit,
            self.gold_every,
        )  # fmt: skip
        found = after(self.lying.values(), done, self.now + DAY)
        self.lying = {(each.task, each.annotator): each for each in found}

    @rule(choice=st.integers(0, 100), state=st.sampled_from(["answered", "answered", "skipped", "gone"]))
    def work(self, choice, state):
        """Somebody answers or skips what lies open before them, or it is deleted on the server."""
        lying = [pair for pair, each in sorted(self.lying.items()) if each.state == "open"]
        if lying:
            task, name = lying[choice % len(lying)]
            self.lying[task, name] = Placed(task, name, state)
            self.answers[task, name] += state == "answered"

    @invariant()
    def nothing_is_lost_or_doubled(self):
        """Answers stay, nobody gave two to one task, no task is before more people than are wanted."""
        for (task, name), count in self.answers.items():
            assert count <= 1
            assert not count or self.lying[task, name].state == "answered"
        taken = Counter(task for (task, _), each in self.lying.items() if each.state in TAKEN and task[0] == "t")
        assert all(count <= self.overlap for count in taken.values())

    def teardown(self):
        """With everybody there and time enough, every task is answered by as many as are wanted, or nobody is left."""
        self.people, self.paused = set(PEOPLE), set()
        for _ in range(4):
            self.now += 10 * DAY
            self.push(None)
            self.lying = {
                pair: Placed(*pair, "answered") if each.state == "open" else each for pair, each in self.lying.items()
            }
        for number in range(self.count):
            lying = self.lying.values()
            answered = holders(lying, f"t{number}", {"answered"})
            assert len(answered) == self.overlap or set(PEOPLE) <= holders(lying, f"t{number}", SEEN)


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
