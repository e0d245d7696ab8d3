"""A process that is attacked: it forks for every attack, under limits, and tells what happened.

Started as ``python -m tests.attacks.victim``; a request is one line of JSON on its input, an answer one on its output. What is
slow to import is imported once, so an attack costs a fork.
"""

import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import ceteris.api
import ceteris.data
import ceteris.planning.estimate
import ceteris.report  # noqa: F401 - loaded here, once for all attacks
from ceteris.cli.app import run_command

IDLE_SECONDS = 10  # without any work of the processor, then it hangs
BUSY_SECONDS = 20  # of the processor, then it never ends
ADDRESS_SPACE = 6 << 30  # beyond what is there at the start: a net under the test, far above what an attack may take


def main() -> None:
    """Serve attacks until the input ends."""
    Image.init()
    np.linalg.norm(np.ones(2))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_attacked(json.loads(line))) + "\n")
        sys.stdout.flush()


def _attacked(request: dict[str, Any]) -> dict[str, Any]:
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        _suffer(request, write_end)
    os.close(write_end)
    told, work, idle_since = b"", 0.0, time.monotonic()
    hangs = False
    with open(read_end, "rb", buffering=0) as pipe:
        while not hangs:
            ready, _, _ = select.select([pipe], [], [], 1.0)
            if ready:
                piece = pipe.read(1 << 16)
                if not piece:
                    break
                told += piece
                continue
            now = _work_of(child)
            if now > work:
                work, idle_since = now, time.monotonic()
            hangs = work > BUSY_SECONDS or time.monotonic() - idle_since > request.get("patience", IDLE_SECONDS)
    if hangs:
        os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    answer: dict[str, Any] = json.loads(told) if told else {"status": None, "written": [], "started": []}
    return answer | {
        "hangs": hangs,
        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
        "seconds": usage.ru_utime + usage.ru_stime,
        "megabytes": usage.ru_maxrss / 1024,
    }


def _work_of(child: int) -> float:
    """Return how long the processor has worked for a process so far, in seconds."""
    fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _suffer(request: dict[str, Any], pipe: int) -> None:
    """Run one attack in this process, which ends with it."""
    os.setpgid(0, 0)
    os.chdir(request["folder"])
    os.makedirs("scratch", exist_ok=True)
    # Where the standard library makes its temporary files; a socket's path must be short, hence this way to the folder.
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.path.abspath("scratch")
    tempfile.tempdir = f"/proc/{os.getpid()}/cwd/scratch"
    output = os.open(request["output"], os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    for stream in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDONLY) if stream == 0 else output, stream)
    space = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (space + ADDRESS_SPACE, space + ADDRESS_SPACE))
    written: list[str] = []
    started: list[str] = []
    sys.addaudithook(lambda event, arguments: _note(event, arguments, written, started))
    try:
        if "arguments" in request:
            status = run_command(request["arguments"])
        else:
            exec(request["code"], {"__name__": "attack"})
            status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 2
    except BaseException:
        status = -1
        traceback.print_exc()
    for out in (sys.stdout, sys.stderr):
        out.flush()
    answer = json.dumps({"status": status, "written": written, "started": started})
    with open(pipe, "w", encoding="utf-8") as out:
        out.write(answer)
    os._exit(0)


def _note(event: str, arguments: tuple[Any, ...], written: list[str], started: list[str]) -> None:
    """Note every file that is written, made, renamed or removed, and every process that is started."""
    match event:
        case "open":
            path, mode, flags = arguments
            if (isinstance(mode, str) and set(mode) & set("wax+")) or (flags and flags & (os.O_WRONLY | os.O_RDWR)):
                written.append(_place(path))
        case "os.mkdir":
            written.append(_place(arguments[0], arguments[2]))
        case "os.remove" | "os.rmdir":
            written.append(_place(arguments[0], arguments[1]))
        case "os.truncate" | "os.chmod":
            written.append(_place(arguments[0]))
        case "os.rename" | "os.link" | "os.symlink":
            written.extend([_place(arguments[0]), _place(arguments[1])])
        case "subprocess.Popen" | "os.system" | "os.exec" | "os.posix_spawn" | "os.spawn" | "pty.spawn":
            started.append(f"{event}: {arguments[:2]}")


def _place(path: Any, folder: int = -1) -> str:
    """Return where a path leads; the last part stays as it is, since renaming and removing do not follow it."""
    if isinstance(path, int):
        return ""
    text = (
        os.fsdecode(path) if folder == -1 else os.path.join(os.readlink(f"/proc/self/fd/{folder}"), os.fsdecode(path))
    )
    whole = os.path.abspath(text)
    return os.path.join(os.path.realpath(os.path.dirname(whole)), os.path.basename(whole))


if __name__ == "__main__":
    main()
