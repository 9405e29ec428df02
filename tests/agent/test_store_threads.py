"""The store under several threads at once, from their very first moment."""

import subprocess
import sys

# Every switch of threads that may happen does: without the store's own care two of three such processes crash.
FIRST_WORDS = """
import sys, threading
import msgspec
from agent.store import _unpack
from alerts.incident import Incident
from alerts.ledger import Message
from alerts.notification import Notification

incident = Incident(code="K7M", key="k", opened=1.0, members={}, severity="critical")
spoken = Notification(code="K7M", ordinal=1, reason="opened", severity="critical", contact="budi", channel="console",
                      created=1.0, not_before=1.0, stale_at=1.0, incident=incident)
body, wrong = msgspec.json.encode(spoken), []
start = threading.Barrier(6)

def read():
    start.wait()
    if _unpack(body, Notification) != spoken:
        wrong.append(spoken)

sys.setswitchinterval(1e-6)
readers = [threading.Thread(target=read) for _ in range(6)]
for reader in readers:
    reader.start()
for reader in readers:
    reader.join()
sys.exit(len(wrong))
"""


def test_several_channels_may_be_the_first_to_read_the_outbox() -> None:
    ended = [subprocess.run([sys.executable, "-c", FIRST_WORDS], timeout=60, check=False).returncode for _ in range(6)]
    assert ended == [0] * 6
