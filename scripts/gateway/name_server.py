"""A name server for gateways outside a cluster: it stands in for the cluster's DNS on the loopback interface."""

import socket
import struct
import threading


class NameServer:
    """Answers A questions from a table that tests change while it runs. Names without addresses are NXDOMAIN.

    Attributes:
        addresses: of each name.
        silent: leaves every question without an answer.
    """

    def __init__(self) -> None:
        self.silent = False
        self.addresses: dict[str, list[str]] = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = int(self.socket.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                question, client = self.socket.recvfrom(4096)
            except OSError:
                return
            if not self.silent:
                self.socket.sendto(self._answer(question), client)

    def _answer(self, packet: bytes) -> bytes:
        labels, at = [], 12
        while packet[at]:
            labels.append(packet[at + 1 : at + 1 + packet[at]].decode())
            at += 1 + packet[at]
        (kind,) = struct.unpack("!H", packet[at + 1 : at + 3])
        question = packet[12 : at + 5]
        known = self.addresses.get(".".join(labels).lower(), [])
        answers = known if kind == 1 else []
        flags = 0x8580 if known else 0x8583
        header = packet[:2] + struct.pack("!HHHHH", flags, 1, len(answers), 0, 0)
        records = b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 1, 4) + socket.inet_aton(address) for address in answers
        )
        return header + question + records

    def close(self) -> None:
        self.socket.close()
