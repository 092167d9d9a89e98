"""Asks one DNS server for one name and prints the address: ``python -I dns_query.py SERVER NAME``.

Runs inside the cluster's namespaces, with the standard library only, to see whether cluster DNS answers.
"""

import socket
import struct
import sys

TYPE_A, CLASS_IN = 1, 1


def question(name: str) -> bytes:
    """A query for the IPv4 address of a name."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    return struct.pack(">6H", 0x1234, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", TYPE_A, CLASS_IN)


def main() -> None:
    """Prints the address; ends with status 1 if there is no answer or the answer is empty."""
    server, name = sys.argv[1:3]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.settimeout(1)
        link.sendto(question(name), (server, 53))
        reply = link.recv(512)
    answers = struct.unpack(">H", reply[6:8])[0]
    if answers == 0:
        sys.exit(f"{server} knows no {name}")
    print(socket.inet_ntoa(reply[-4:]))


main()
