"""The fork server of a fleet: the process that imports all that a sync needs, and from which worker processes are forked.

``multiprocessing`` imports this module in that process before it forks.
"""

import importlib
import os
import signal
import sys

# Python 3.11 looks for modules in the folder where the command was started, too: what lies there is the user's.
sys.path[:] = filter(None, sys.path)
importlib.import_module(".sync_imports", __package__).import_all()
# A service manager sends SIGTERM to all processes at once: without this one, it would not be known how the others end.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))
