"""The command line: every command is a few lines on the functions of ``ceteris.api``."""

import os
import signal
import socket
import sys
import threading
import time
from typing import NoReturn

__all__ = ["main"]

_PATIENCE = 0.7  # seconds that what runs has to stop by itself after Ctrl-C
_UNTOLD = threading.Semaphore()


def main() -> None:
    """Run the command line; a mistake of the user ends with one short message and status 1, Ctrl-C with status 130."""
    _answer_ctrl_c()
    try:
        from ceteris.cli.app import run_command  # Ctrl-C is answered while it is imported, too

        status = run_command(sys.argv[1:])
    except KeyboardInterrupt:
        _stop()  # at once: to take down all that was imported may last longer than to stop
    sys.exit(status)


def _answer_ctrl_c() -> None:
    """Let Ctrl-C end this process soon at every moment; Python itself answers only between two of its instructions.

    The operating system wakes a thread, which ends the process when what runs has not stopped by itself: it computes
    outside of Python, or waits for a thread. Training processes and the notebook's kernel end with their parent, and what
    was being written appears whole or not at all.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        return
    woken, wakes = socket.socketpair()
    wakes.setblocking(False)
    signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)

    def watch() -> None:
        with woken, wakes:
            while woken.recv(1) != bytes([signal.SIGINT]):
                pass
            time.sleep(_PATIENCE)
            _stop()

    threading.Thread(target=watch, daemon=True).start()


def _stop() -> NoReturn:
    """Say once how to go on, and end the process with the status of an interrupted command."""
    if _UNTOLD.acquire(blocking=False):
        cursor = "\x1b[?25h" if sys.stderr.isatty() else ""  # a bar that was drawn has hidden it
        sys.stderr.write(f"{cursor}Stopped. What was finished is kept: the same command goes on from there.\n")
        sys.stderr.flush()
    os._exit(130)
