"""The fake Twilio as a process: `python -m agent.demo.fake_twilio --port 9899 --state FILE`. Ends on SIGTERM or SIGINT.

Prints one line of JSON when it listens: `{"url": "http://127.0.0.1:9899", "pid": 4711}`.
"""

import argparse
import json
import os
import signal
from pathlib import Path

import msgspec

from agent.demo.fake_twilio import Account, FakeTwilio


def main() -> None:
    parser = argparse.ArgumentParser(prog="fake_twilio", description="A strict fake of Twilio's WhatsApp, on loopback.")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--state", type=Path, help="keep everything in this file, and go on from it")
    parser.add_argument("--account", default="{}", help="JSON with fields of Account, such as sid, token, pace")
    given = parser.parse_args()
    account = msgspec.json.decode(given.account.encode(), type=Account)
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    with FakeTwilio(account, port=given.port, file=given.state) as fake:
        print(json.dumps({"url": fake.url, "pid": os.getpid()}), flush=True)
        signal.sigwait((signal.SIGTERM, signal.SIGINT))


if __name__ == "__main__":
    main()
