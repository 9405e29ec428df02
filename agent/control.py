"""The daemon's unix socket: one line of JSON in, one line out; who asks is what the kernel says of the peer.

Both ends live here. The client side imports nothing heavy, for a command must answer at once.
"""

import fcntl
import json
import os
import pwd
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

SOCKET = "jaga.sock"
RUNTIME, STATE = Path("/run/jaga"), Path("/var/lib/jaga")  # of jaga.service
LARGEST = 64 * 1024  # bytes in a question
LARGEST_ANSWER = 4 * 1024 * 1024  # an incident is a few kilobytes with its evidence
TIMEOUT = 5.0  # seconds for a question to arrive, and for its answer to leave
AT_ONCE = 8  # questions being answered; a test message may take minutes, and nobody asks this often

Verb = Callable[[dict[str, Any], str], Any]  # (parameters, who) -> what JSON can hold


class Declined(Exception):
    """The daemon said no: a sentence, and what to do instead."""

    def __init__(self, error: str, hint: str = "") -> None:
        super().__init__(error)
        self.error, self.hint = error, hint


class NotRunning(Exception):
    """Nobody answers at that path."""

    def __init__(self, path: Path, why: str = "") -> None:
        super().__init__(f"no daemon answers at {path}" + (f": {why}" if why else ""))
        self.path, self.why = path, why


class Barred(Exception):
    """This user may not speak to the daemon at that path."""


class Occupied(Exception):
    """Another daemon has that path, or it cannot be used; the text says which."""


def find(config: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """The socket of the daemon that works by that configuration, as a person's shell sees it."""
    given = environ.get("RUNTIME_DIRECTORY") or environ.get("STATE_DIRECTORY") or "var"
    here, service = [Path(given.split(":")[0])], [RUNTIME, STATE]
    places = service + here if config.parts[:3] == ("/", "etc", "jaga") else here + service
    # os.path, for a folder that we may not look into counts as one without a socket
    return next((place / SOCKET for place in places if os.path.exists(place / SOCKET)), places[0] / SOCKET)


# --- the daemon's end ----------------------------------------------------------------------------------------------


class Control:
    """Owns `path` from the moment it is made, and with it the state folder; answers from `start` to `stop`.

    Where systemd made a runtime directory the socket lies there instead, for the state folder lets no group in.
    Raises Occupied.
    """

    def __init__(self, path: Path, environ: Mapping[str, str] = os.environ) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _claim(path)
        except OSError as error:
            raise Occupied(f"{path.parent}: the state folder cannot be used: {error.strerror}: it must be a folder that"
                           f" {_name(os.geteuid())} may write to, or name another one in $STATE_DIRECTORY") from error
        runtime = environ.get("RUNTIME_DIRECTORY", "").split(":")[0]  # systemd parts several by colons
        self.path = Path(runtime) / path.name if runtime else path
        self._listener: socket.socket | None = None
        self._slots = threading.BoundedSemaphore(AT_ONCE)
        self._verbs: Mapping[str, Verb] = {}

    def start(self, verbs: Mapping[str, Verb]) -> None:
        """Answer with these from now on, each question in a thread of its own."""
        self._verbs = verbs
        self.path.unlink(missing_ok=True)  # the lock is ours, so whoever left it there is dead
        listener = self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(self.path))
        except OSError as error:
            raise Occupied(f"{self.path}: cannot listen there: {error}") from error
        self.path.chmod(0o660)  # members of the daemon's group may ask; until here the umask allowed nobody more
        listener.listen(AT_ONCE)
        threading.Thread(target=self._accept, args=(listener,), name="control", daemon=True).start()

    def stop(self) -> None:
        """Answer no more and leave the path to the next."""
        listener, self._listener = self._listener, None
        if listener is not None:
            self.path.unlink(missing_ok=True)
            listener.shutdown(socket.SHUT_RDWR)  # wakes accept(), which close() alone does not
            listener.close()
        self._lock.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:  # shut down
                return
            self._slots.acquire()  # who comes later waits in the listener's queue, by their own time-out
            threading.Thread(target=self._serve, args=(peer,), name="control-answer", daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        try:
            with peer:
                _write(peer, self._answer(peer))
        finally:
            self._slots.release()

    def _answer(self, peer: socket.socket) -> dict[str, Any]:
        try:
            question = json.loads(_read(peer, LARGEST, time.monotonic() + TIMEOUT))
            verb, params = question["verb"], question.get("params", {})
            sudo_user = question.get("sudo_user", "")
            if not (isinstance(verb, str) and isinstance(params, dict) and isinstance(sudo_user, str)):
                raise TypeError
            json.dumps(question, ensure_ascii=False).encode()  # a lone surrogate is no text, and no file holds it
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return _error("that was no question", 'send one line such as {"verb": "incidents", "params": {}}')
        except OSError as error:
            return _error(f"the question did not arrive: {error}")
        if verb not in self._verbs:
            return _error(f"there is no verb {verb!r}", "there is " + ", ".join(sorted(self._verbs)))
        try:
            return {"answer": self._verbs[verb](params, _who(peer, sudo_user))}
        except Declined as declined:
            return _error(declined.error, declined.hint)
        except Exception as error:  # our own fault or the store's: whoever asks must hear it, and the socket live on
            from agent.logs import get_logger, told

            get_logger(__name__).exception("control_failed", verb=verb)
            return _error(f"that failed: {told(error)}", "journalctl -u jaga -n 50 says more")


def _claim(path: Path) -> IO[bytes]:
    """Hold the lock beside the socket; the kernel gives it back when we die, however we die."""
    lock = path.with_suffix(".lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise Occupied(f"{path}: another jaga is running with this state: stop it first (systemctl stop jaga), "
                       "or give this one a state directory of its own ($STATE_DIRECTORY)") from error
    return lock


def _who(peer: socket.socket, sudo_user: str) -> str:
    """The user at the other end; root may say for whom it speaks."""
    packed = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _pid, uid, _gid = struct.unpack("3i", packed)
    try:
        return pwd.getpwnam(sudo_user).pw_name if uid == 0 and sudo_user else _name(uid)
    except KeyError:
        return f"uid {uid}"


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _error(error: str, hint: str = "") -> dict[str, Any]:
    return {"error": error, "hint": hint}


# --- the person's end ----------------------------------------------------------------------------------------------


def ask(path: Path, verb: str, /, *, patience: float = TIMEOUT, **params: Any) -> Any:
    """Ask the daemon at `path` and return its answer, for which `patience` seconds are waited.

    Raises NotRunning where nobody listens or answers in time, Barred where this user may not ask, Declined where the
    answer is no.
    """
    question = {"verb": verb, "params": params, "sudo_user": os.environ.get("SUDO_USER", "")}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(TIMEOUT)
        try:
            channel.connect(str(path))
            _send(channel, question)
            answer = json.loads(_read(channel, LARGEST_ANSWER, time.monotonic() + patience))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NotRunning(path) from error
        except PermissionError as error:
            raise Barred(path) from error
        except (OSError, ValueError) as error:
            raise NotRunning(path, str(error) or "no answer") from error
    if "error" in answer:
        raise Declined(answer["error"], answer.get("hint", ""))
    return answer["answer"]


# --- both ------------------------------------------------------------------------------------------------------------


def _read(channel: socket.socket, most: int, deadline: float) -> bytes:
    """One line. Raises ValueError when it is longer than `most`, TimeoutError when it is not there in time."""
    line = bytearray()
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        channel.settimeout(left)
        part = channel.recv(65536)
        if not part:
            raise ValueError("the line was cut off")
        line += part
        if len(line) > most:
            raise ValueError("the line is too long")
    return bytes(line)


def _send(channel: socket.socket, message: object) -> None:
    channel.settimeout(TIMEOUT)
    channel.sendall(json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n")


def _write(peer: socket.socket, message: object) -> None:
    try:
        _send(peer, message)
    except OSError:  # whoever asked is gone, and nobody else is waiting for this answer
        return
