"""The operator's side: toggles, status and pictures in IPython, a page to look at.

>>> from bcdi_inpaint.console import install  # doctest: +SKIP
>>> inpaint = install(RE, raw, processed)  # doctest: +SKIP
"""

from .handle import Inpaint
from .install import install

__all__ = ["Inpaint", "install"]
