"""Pictures small enough to lie in a page: made smaller where Pillow is installed, as they are where it is not."""

from __future__ import annotations

import base64
import io
from typing import Final

_KINDS: Final = {
    b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif", b"RIFF": "webp", b"BM": "bmp",
}  # fmt: skip
_MOST: Final = 200_000  # bytes of a picture that could not be made smaller


def data_uri(picture: bytes, longest: int = 480) -> str | None:
    """Return a picture as an address that holds it, its longer side at most `longest` pixels.

    None where it is no picture of a kind that browsers know, or is too large and Pillow is not there.
    """
    kind = next((kind for sign, kind in _KINDS.items() if picture.startswith(sign)), None)
    if kind is None:
        return None
    smaller = _smaller(picture, longest)
    if smaller is not None:
        kind, picture = smaller
    elif len(picture) > _MOST:
        return None
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def _smaller(picture: bytes, longest: int) -> tuple[str, bytes] | None:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        return None
    out = io.BytesIO()
    try:
        with Image.open(io.BytesIO(picture)) as image:
            if max(image.size) <= longest and len(picture) <= _MOST:
                return None
            image.thumbnail((longest, longest))
            image.convert("RGB").save(out, "JPEG", quality=80)
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return None
    return "jpeg", out.getvalue()
