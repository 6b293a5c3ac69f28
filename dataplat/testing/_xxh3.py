"""XXH3-128 with seed 0 in plain Python: slow, for the oracle of the content id.

Written from the algorithm's description (xxHash, "XXH3 algorithm overview", Y. Collet).
"""

from __future__ import annotations

from typing import Final

_MASK: Final = (1 << 64) - 1
_P32_1, _P32_2, _P32_3 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
_P1, _P2, _P3, _P4, _P5 = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)
_SECRET: Final = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8"
    "fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb17"
    "0ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)


def xxh3_128(data: bytes) -> tuple[int, int]:
    """Return the low and the high 64 bits of XXH3-128 (seed 0) of the bytes."""
    size = len(data)
    if size == 0:
        return _avalanche64(_key(64) ^ _key(72)), _avalanche64(_key(80) ^ _key(88))
    if size <= 3:
        return _up_to_3(data)
    if size <= 8:
        return _up_to_8(data)
    if size <= 16:
        return _up_to_16(data)
    return _up_to_240(data) if size <= 240 else _long(data)


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def _u64(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")


def _key(at: int) -> int:
    return _u64(_SECRET, at)


def _swap(word: int, size: int) -> int:
    return int.from_bytes(word.to_bytes(size, "little"), "big")


def _avalanche64(word: int) -> int:
    word = (word ^ word >> 33) * _P2 & _MASK
    word = (word ^ word >> 29) * _P3 & _MASK
    return word ^ word >> 32


def _avalanche(word: int) -> int:
    word = (word ^ word >> 37) * 0x165667919E3779F9 & _MASK
    return word ^ word >> 32


def _fold(one: int, other: int) -> int:
    product = one * other
    return product & _MASK ^ product >> 64


def _up_to_3(data: bytes) -> tuple[int, int]:
    size = len(data)
    low = data[0] << 16 | data[size >> 1] << 24 | data[-1] | size << 8
    swapped = _swap(low, 4)
    high = (swapped << 13 | swapped >> 19) & 0xFFFFFFFF
    flips = _u32(_SECRET, 0) ^ _u32(_SECRET, 4), _u32(_SECRET, 8) ^ _u32(_SECRET, 12)
    return _avalanche64(low ^ flips[0]), _avalanche64(high ^ flips[1])


def _up_to_8(data: bytes) -> tuple[int, int]:
    size = len(data)
    keyed = (_u32(data, 0) | _u32(data, size - 4) << 32) ^ _key(16) ^ _key(24)
    product = keyed * (_P1 + (size << 2))
    low, high = product & _MASK, product >> 64
    high = high + (low << 1) & _MASK
    low ^= high >> 3
    low = (low ^ low >> 35) * 0x9FB21C651E98DF25 & _MASK
    return low ^ low >> 28, _avalanche(high)


def _up_to_16(data: bytes) -> tuple[int, int]:
    size = len(data)
    first, last = _u64(data, 0), _u64(data, size - 8)
    product = (first ^ last ^ _key(32) ^ _key(40)) * _P1
    low, high = (product & _MASK) + (size - 1 << 54) & _MASK, product >> 64
    last ^= _key(48) ^ _key(56)
    high = high + last + (last & 0xFFFFFFFF) * (_P32_2 - 1) & _MASK
    low ^= _swap(high, 8)
    product = low * _P2
    return _avalanche(product & _MASK), _avalanche((product >> 64) + high * _P2 & _MASK)


def _up_to_240(data: bytes) -> tuple[int, int]:
    size = len(data)
    low, high = size * _P1 & _MASK, 0

    def mix(one: int, other: int, key: int) -> None:
        nonlocal low, high
        low = low + _fold(_u64(data, one) ^ _key(key), _u64(data, one + 8) ^ _key(key + 8)) & _MASK
        low ^= _u64(data, other) + _u64(data, other + 8) & _MASK
        high = high + _fold(_u64(data, other) ^ _key(key + 16), _u64(data, other + 8) ^ _key(key + 24)) & _MASK
        high ^= _u64(data, one) + _u64(data, one + 8) & _MASK

    if size <= 128:
        for i in range((size - 1) // 32, -1, -1):
            mix(16 * i, size - 16 * (i + 1), 32 * i)
    else:
        for i in range(4):
            mix(32 * i, 32 * i + 16, 32 * i)
        low, high = _avalanche(low), _avalanche(high)
        for i in range(4, size // 32):
            mix(32 * i, 32 * i + 16, 3 + 32 * (i - 4))
        mix(size - 16, size - 32, 103)
    total = low * _P1 + high * _P4 + size * _P2 & _MASK
    return _avalanche(low + high & _MASK), -_avalanche(total) & _MASK


def _long(data: bytes) -> tuple[int, int]:
    size = len(data)
    sums = [_P32_3, _P1, _P2, _P3, _P4, _P32_2, _P5, _P32_1]

    def stripe(at: int, key: int) -> None:
        for i in range(8):
            word = _u64(data, at + 8 * i)
            keyed = word ^ _key(key + 8 * i)
            sums[i ^ 1] = sums[i ^ 1] + word & _MASK
            sums[i] = sums[i] + (keyed & 0xFFFFFFFF) * (keyed >> 32) & _MASK

    for i in range((size - 1) // 64):
        stripe(64 * i, 8 * (i % 16))
        if i % 16 == 15:  # the end of a block of 1,024 bytes
            sums[:] = [(word ^ word >> 47 ^ _key(128 + 8 * j)) * _P32_1 & _MASK for j, word in enumerate(sums)]
    stripe(size - 64, 121)

    def merged(key: int, start: int) -> int:
        folds = (_fold(sums[2 * i] ^ _key(key + 16 * i), sums[2 * i + 1] ^ _key(key + 16 * i + 8)) for i in range(4))
        return _avalanche(start + sum(folds) & _MASK)

    return merged(11, size * _P1 & _MASK), merged(117, ~(size * _P2) & _MASK)
