"""A DNS server for the demo and for tests: it speaks the real protocol over UDP and knows the TXT records it is given."""

import socket
import threading
from contextlib import suppress

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

LARGEST = 4096


class NameServer:
    """Answers TXT questions on a free port of loopback, from `records`: name → its texts."""

    def __init__(self, port: int = 0) -> None:
        self.records: dict[str, list[str]] = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", port))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def start(self) -> "NameServer":
        """Begin to answer."""
        self.thread.start()
        return self

    def stop(self) -> None:
        """Answer no more."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(timeout=2)

    def _serve(self) -> None:
        while True:
            try:
                data, sender = self.socket.recvfrom(LARGEST)
            except OSError:
                return
            if not data and self.socket.fileno() < 0:
                return
            with suppress(Exception):  # what is no question gets no answer
                self.socket.sendto(self._answer(data), sender)

    def _answer(self, data: bytes) -> bytes:
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query, recursion_available=True)
        name = query.question[0].name
        texts = self.records.get(name.to_text(omit_final_dot=True).lower())
        if texts is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif texts:
            quoted = ['"' + text.replace('"', '\\"') + '"' for text in texts]
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", *quoted))
        return answer.to_wire()
