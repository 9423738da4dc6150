"""One test for many lines of data: it runs them all and lists every line that fails."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

Test = Callable[..., None]


def for_each(
    names: str | tuple[str, ...], values: Iterable[Any], ids: Iterable[str] = ()
) -> Callable[[Test], Test]:
    """Like ``pytest.mark.parametrize``, but as one test, which costs less than a test for each line does."""
    parameters = (names,) if isinstance(names, str) else names
    rows = [(value,) if isinstance(names, str) else tuple(value) for value in values]
    labels = list(ids) or list(map(str, rows))

    def decorator(test: Test) -> Test:
        def run(**others: Any) -> None:
            failing = []
            for label, row in zip(labels, rows, strict=True):
                try:
                    test(**dict(zip(parameters, row, strict=True)), **others)
                except AssertionError as error:
                    failing.append(f"{label}: {error}")
            assert not failing, f"{len(failing)} of {len(rows)} lines fail:\n" + "\n".join(failing)

        signature = inspect.signature(test)
        rest = [parameter for name, parameter in signature.parameters.items() if name not in parameters]
        run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
        run.__signature__ = signature.replace(parameters=rest)  # type: ignore[attr-defined] # what pytest asks for
        return run

    return decorator
