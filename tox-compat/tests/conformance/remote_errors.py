"""The module whose exceptions the Python client may rebuild, as Nova's may those of nova.exception."""


class Plain(Exception):
    pass


class WithKwargs(Exception):
    """Like NovaException: a message, and named values to format it with."""

    def __init__(self, message=None, **kwargs):
        self.kwargs = kwargs
        super().__init__(message or f"formatted {sorted(kwargs)}")


class Picky(Exception):
    """Its constructor refuses what it gets."""

    def __init__(self, *args):
        raise ValueError("the constructor refused")


NOT_A_CLASS = 7


class NotAnException:
    pass
