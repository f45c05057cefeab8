"""synthspark: a lake goes in, a same-shaped lake comes out."""

from synthspark.threads import sleep_soon

__version__ = "0.1.0"

sleep_soon()  # here: whatever module is imported first, torch and LightGBM are loaded after this
