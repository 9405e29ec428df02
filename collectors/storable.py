"""Text as any file, JSON and the database can hold it."""


def storable(given: str) -> str:
    """The same with whatever no file can hold written out. A name in bytes that are no UTF-8 comes from the kernel as
    lone surrogates, and neither JSON nor the database takes those."""
    return given if given.isascii() else given.encode("utf-8", "backslashreplace").decode("utf-8")
