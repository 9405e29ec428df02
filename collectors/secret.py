"""A secret that a configuration names but never holds; it does not print itself."""

from collections.abc import Callable


class Secret:
    """`password: Secret` makes the option take `{credential = "name"}`, `{file = "/path"}` or `{env = "NAME"}`.

    The configuration reader resolves it; `reveal` hands the text out at the moment of use.
    """

    __slots__ = ("_read", "source")

    def __init__(self, source: str, read: Callable[[], str]) -> None:
        self.source, self._read = source, read

    def reveal(self) -> str:
        return self._read()

    def __repr__(self) -> str:
        return f"Secret({self.source})"
