"""Charts as inline SVG. Each is an image with a label that says what it shows: nothing is told by colour or shape alone."""

from __future__ import annotations

from collections.abc import Sequence

from dataplat.validation._page._pieces import Html, text

_WIDTH, _HEIGHT = 480, 110


def bars(counts: Sequence[float], label: str, *, ends: tuple[str, str] = ("", ""), tips: Sequence[str] = ()) -> Html:
    """Return a histogram.

    Args:
        counts: the height of each bar.
        label: what the picture shows, in words.
        ends: what stands below the first and the last bar.
        tips: what each bar tells the pointer.
    """
    most = max(counts, default=0) or 1
    step = _WIDTH / max(len(counts), 1)
    drawn = [
        _bar(at * step + step * 0.06, step * 0.88, count / most, "one", tips[at] if tips else "")
        for at, count in enumerate(counts)
    ]
    return _picture(drawn, label, ends)


def twin_bars(
    before: Sequence[float],
    after: Sequence[float],
    label: str,
    *,
    ends: tuple[str, str] = ("", ""),
    tips: Sequence[str] = (),
) -> Html:
    """Return two histograms of the same bins, bar beside bar."""
    most = max([*before, *after], default=0) or 1
    step = _WIDTH / max(len(before), 1)
    drawn = []
    for at, (one, two) in enumerate(zip(before, after, strict=True)):
        tip = tips[at] if tips else ""
        drawn.append(_bar(at * step + step * 0.08, step * 0.4, one / most, "one", tip))
        drawn.append(_bar(at * step + step * 0.52, step * 0.4, two / most, "two", tip))
    return _picture(drawn, label, ends)


def meter(share: float, label: str, tone: str = "") -> Html:
    """Return a share of 1 as a filled line."""
    width = min(max(share, 0.0), 1.0)
    return Html(
        f'<span class="meter {tone}" role="img" aria-label="{text(label)}"><i style="width:{width:.2%}"></i></span>'
    )


def _bar(x: float, width: float, height: float, kind: str, tip: str) -> str:
    tall = height * _HEIGHT if height <= 0 else max(height * _HEIGHT, 1.0)  # what is there is seen
    shape = f'class="{kind}" x="{x:.1f}" y="{_HEIGHT - tall:.1f}" width="{max(width, 0.5):.1f}" height="{tall:.1f}"'
    return f"<rect {shape}><title>{text(tip)}</title></rect>" if tip else f"<rect {shape}/>"


def _picture(drawn: Sequence[str], label: str, ends: tuple[str, str]) -> Html:
    first, last = ends
    words = (
        f'<span class="ends" aria-hidden="true"><span>{text(first, 32)}</span><span>{text(last, 32)}</span></span>'
        if first or last
        else ""
    )
    return Html(
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + 1}" role="img" aria-label="{text(label)}">{"".join(drawn)}'
        f'<line class="axis" x1="0" x2="{_WIDTH}" y1="{_HEIGHT}" y2="{_HEIGHT}"/></svg>{words}'
    )
