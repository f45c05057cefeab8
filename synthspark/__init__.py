"""synthspark: a lake goes in, a same-shaped lake comes out.

`run`, `apply` and `open` are those of `synthspark.api`, which is imported when one of them is asked for.
"""

from typing import TYPE_CHECKING, Any

from synthspark.threads import sleep_soon

if TYPE_CHECKING:
    from synthspark.api import apply, open, run

__all__ = ["__version__", "apply", "open", "run"]
__version__ = "0.1.0"

sleep_soon()  # here: whatever module is imported first, torch and LightGBM are loaded after this


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'synthspark' has no attribute {name!r}")
    from synthspark import api

    return getattr(api, name)
