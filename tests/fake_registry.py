"""A domain registry on loopback: RDAP over HTTP and WHOIS, with answers that a test sets; every question is kept."""

import json
import socketserver
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self


def rdap(domain: str, ends: str = "", *statuses: str) -> dict[str, Any]:
    """An answer as a registry gives it (RFC 9083); without `ends` it names no expiration."""
    events = [{"eventAction": "registration", "eventDate": "2019-02-11T03:12:44Z"},
              {"eventAction": "last changed", "eventDate": "2026-01-30T08:00:01Z"}]
    if ends:
        events.insert(1, {"eventAction": "expiration", "eventDate": ends})
    return {
        "objectClassName": "domain", "ldhName": domain.upper(), "status": list(statuses) or ["active"],
        "events": events, "nameservers": [{"objectClassName": "nameserver", "ldhName": "NS1.EXAMPLE.ID"}],
        "entities": [{"objectClassName": "entity", "roles": ["registrant"],
                      "vcardArray": ["vcard", [["fn", {}, "text", "Budi Pribadi"]]]}],
        "secureDNS": {"delegationSigned": False},
    }


class Registry:
    """`answers` by domain: (status, JSON value or text, Location or ""); `texts` by domain: what WHOIS says.

    A domain that is in neither is not registered. `asked` holds "rdap NAME" and "whois NAME", in order.
    """

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any, str]] = {}
        self.texts: dict[str, str] = {}
        self.asked: list[str] = []
        registry = self

        class Rdap(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the library's name
                domain = self.path.rpartition("/")[2]
                registry.asked.append(f"rdap {domain}")
                status, content, location = registry.answers.get(domain, (404, {"errorCode": 404}, ""))
                body = (content if isinstance(content, str) else json.dumps(content)).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/rdap+json")
                self.send_header("Content-Length", str(len(body)))
                if location:
                    self.send_header("Location", location)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        class Whois(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                domain = self.rfile.readline(300).decode("ascii").strip()
                registry.asked.append(f"whois {domain}")
                text = registry.texts.get(domain, f"No match for {domain}.\r\n")
                self.wfile.write(text.encode("latin-1"))

        self._servers: tuple[socketserver.BaseServer, ...] = (
            ThreadingHTTPServer(("127.0.0.1", 0), Rdap), socketserver.ThreadingTCPServer(("127.0.0.1", 0), Whois))
        http_port, whois_port = (server.server_address[1] for server in self._servers)
        self.rdap = f"http://127.0.0.1:{http_port}/rdap/"
        self.whois = f"127.0.0.1:{whois_port}"

    def __enter__(self) -> Self:
        for server in self._servers:
            Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
