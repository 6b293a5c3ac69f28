"""StoreWrapper: the abilities of the inner store, no more and no less."""

from dataplat.lake.stores import FileStore, MemoryStore, StoreWrapper, SupportsFiles, SupportsUrl, concurrency_of


class Noting(StoreWrapper):
    """Note every call."""

    def __init__(self, inner):
        super().__init__(inner)
        self.seen = []

    def _call(self, operation, key, call, sent=None):
        self.seen.append((operation, key, None if sent is None else sent()))
        return call()


class Hiding(StoreWrapper):
    """Keep files to itself."""

    hides = (SupportsFiles,)


def test_abilities_follow_the_inner_store(tmp_path):
    """An ability is claimed truthfully, by looking at the class alone as Python 3.12 does."""
    file, memory = StoreWrapper(FileStore(tmp_path)), StoreWrapper(MemoryStore())
    for store, able in ((file, True), (memory, False)):
        assert isinstance(store, SupportsFiles) is able
        assert isinstance(store, SupportsUrl) is able
        assert hasattr(type(store), "adopt") is able
    assert file.url("x") == str(tmp_path / "x")
    assert file.staging_dir().parent == tmp_path / "tmp"


def test_an_ability_can_be_hidden(tmp_path):
    """A wrapper that must see every byte hides adoption and keeps the rest."""
    store = Hiding(FileStore(tmp_path))
    assert not isinstance(store, SupportsFiles)
    assert isinstance(store, SupportsUrl)


def test_every_call_goes_through_one_method(tmp_path):
    """Reads, creates, lists, deletes and adoptions pass `_call`, with the bytes that are sent."""
    store = Noting(FileStore(tmp_path))
    assert isinstance(store, Noting)
    store.create("a", b"1")
    store.read("a")
    list(store.list("a"))
    store.delete("a")
    path = store.staging_dir() / "b"
    path.write_bytes(b"2")
    store.adopt("b", path)
    assert store.seen == [
        ("create", "a", b"1"),
        ("read", "a", None),
        ("list", "a", None),
        ("delete", "a", None),
        ("adopt", "b", b"2"),
    ]


def test_wrapping_twice_makes_no_new_class(tmp_path):
    """The class of a wrapper with abilities is made once."""
    assert type(Noting(FileStore(tmp_path))) is type(Noting(FileStore(tmp_path)))
    assert type(Noting(MemoryStore())) is type(Noting(MemoryStore()))


def test_concurrency_is_the_inner_one(tmp_path):
    """A wrapper lets as many calls be under way as the store inside."""
    assert concurrency_of(StoreWrapper(MemoryStore())) == 1
    assert concurrency_of(StoreWrapper(FileStore(tmp_path))) == 8


def test_bytes_are_exchanged_in_one_step(tmp_path):
    """Replacing gives a key other bytes, also through a wrapper, whether it was there or not; nothing is left beside it."""
    for inner in (FileStore(tmp_path), MemoryStore()):
        store = Noting(inner)
        store.create("objects/ab/x", b"damaged")
        for key in ("objects/ab/x", "objects/ab/y"):
            store.replace(key, b"whole")
            assert inner.read(key) == b"whole"
        assert [info.key for info in inner.list("")] == ["objects/ab/x", "objects/ab/y"]
