"""synthspark: synthetic users, items and events for recommender cold start, on Spark.

`run`, `apply` and `open` come from `synthspark.api`, which is imported on first use.
"""

from typing import TYPE_CHECKING, Any

from synthspark.threads import sleep_soon

if TYPE_CHECKING:
    from synthspark.api import apply, open, run

__all__ = ["__version__", "apply", "open", "run"]
__version__ = "0.2.0"

sleep_soon()  # must run before torch or LightGBM is loaded, whichever module is imported first


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'synthspark' has no attribute {name!r}")
    from synthspark import api

    return getattr(api, name)
