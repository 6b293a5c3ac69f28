"""Make a folder of small files: `FILES FOLDER`; about 1 kB each, 1,000 to a folder, the same on every machine."""

import random
import sys
from pathlib import Path

count, target = int(sys.argv[1]), Path(sys.argv[2])
chance = random.Random(4)
words = [f"{chance.getrandbits(40):x}" for _ in range(4096)]
partial = target.with_name(target.name + ".partial")
for number in range(count):
    folder = partial / f"{number // 1000:03}"
    if number % 1000 == 0:
        folder.mkdir(parents=True)
    (folder / f"{number:06}.txt").write_text(" ".join(chance.choices(words, k=90)))
partial.rename(target)
