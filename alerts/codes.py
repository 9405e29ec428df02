"""Codes that a half-asleep person can read and type: letter, digit, letter, such as K7M."""

import random
from collections.abc import Container

LETTERS = "ABCDEFGHJKMNPQRTUVWXY"  # no I, L, O (look like 1 and 0), no S and Z (look like 5 and 2)
DIGITS = "346789"  # no 0, 1, 2, 5 for the same reason
REUSE_AFTER = 8 * 7 * 86400.0  # a code is not given again for eight weeks


def new_code(taken: Container[str], chance: random.Random) -> str:
    """A code that is not in `taken`; one letter longer where the short ones run out (2,646 of them)."""
    for length in (1, 2, 3):
        for _ in range(2000):
            code = chance.choice(LETTERS) + chance.choice(DIGITS) + "".join(chance.choices(LETTERS, k=length))
            if code not in taken:
                return code
    raise RuntimeError("no free incident code: more than a million in eight weeks")
