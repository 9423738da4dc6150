"""``make reference``: writes everything that is made from the code."""

from . import write

write()
