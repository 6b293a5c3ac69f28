"""What is shown, and which bytes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplat.labeling.serve.media import SMALLEST, NoMedia, asked_range, kind_of, large_enough, of_bytes, of_place

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(200))


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("x", PNG, "image/png"),
        ("x.png", b"\xff\xd8\xff\xe0", "image/jpeg"),  # bytes before names
        ("x", b"RIFF....WAVEfmt ", "audio/wav"),
        ("x", b"RIFF....WEBPVP8 ", "image/webp"),
        ("x", b"\0\0\0\x18ftypmp42", "video/mp4"),
        ("page.html", b"<html>", "text/html"),
        ("s.svg", b"<svg", "image/svg+xml"),
    ],
)
def test_kinds(name: str, head: bytes, kind: str) -> None:
    """The kind is told by the first bytes, else by the name."""
    assert kind_of(name, head) == kind


@pytest.mark.parametrize("name", ["shadow", "id_rsa", "lake.sqlite3", "x.zip", "a.exe"])
def test_nothing_else_is_shown(name: str, tmp_path: Path) -> None:
    """Files that are no media are shown to nobody, though a column names them."""
    (tmp_path / name).write_bytes(b"secret stuff")
    with pytest.raises(NoMedia):
        of_place(name, tmp_path)


def test_places(tmp_path: Path) -> None:
    """A path is relative to the folder given; absolute ones and file:// are as they are; a folder or nothing is none."""
    (tmp_path / "a.png").write_bytes(PNG)
    for place in ("a.png", str(tmp_path / "a.png"), f"file://{tmp_path / 'a.png'}"):
        found = of_place(place, tmp_path)
        assert (found.size, found.kind, found.read(8, 12)) == (len(PNG), "image/png", PNG[8:12])
    for place in (".", "gone.png", str(tmp_path)):
        with pytest.raises(NoMedia):
            of_place(place, tmp_path)


def test_bytes() -> None:
    """Bytes of a cell are shown by what they are."""
    found = of_bytes(PNG)
    assert (found.size, found.kind, found.read(0, 4)) == (len(PNG), "image/png", PNG[:4])
    with pytest.raises(NoMedia):
        of_bytes(b"SQLite format 3\0")


def test_tiny_pictures() -> None:
    """A tiny picture is made longer by what no decoder reads; all else is as it is."""
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.new("L", (8, 8), 7).save(file, "png")
    padded = large_enough(of_bytes(file.getvalue()))
    assert padded.size == SMALLEST
    image = Image.open(io.BytesIO(padded.read(0, padded.size)))
    assert (image.size, image.getpixel((3, 3))) == ((8, 8), 7)
    assert large_enough(of_bytes(b"abc", "x.txt")).size == 3
    large = of_bytes(PNG * 9)
    assert large_enough(large) is large


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None),
        ("", None),
        ("bytes=0-", (0, 100)),
        ("bytes=10-19", (10, 20)),
        ("bytes=90-500", (90, 100)),
        ("bytes=-30", (70, 100)),
        ("bytes=-300", (0, 100)),
        ("bytes=0-1,5-6", None),
        ("items=1-2", None),
        ("bytes=-", None),
    ],
)
def test_ranges(header: str | None, part: tuple[int, int] | None) -> None:
    """Ranges are read as RFC 9110 says; of several at once all bytes are sent, which it allows."""
    assert asked_range(header, 100) == part


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 150))
def test_any_range(first: int, last: int, size: int) -> None:
    """A range lies within the bytes, or is refused."""
    try:
        part = asked_range(f"bytes={first}-{last}", size)
    except ValueError:
        assert first >= size or last < first
    else:
        assert part is not None
        assert 0 <= part[0] < part[1] <= size
