#!/usr/bin/env python3
"""The other side of Debian's monitors and alerts, in a network namespace: world.py FOLDER

While the file FOLDER/good exists, 192.0.2.7 has an HTTP server (port 80), a TCP server (port 7000)
and a name server (port 53), and answers ping; without it nothing is there. All the while traps to
port 2583 of 127.0.0.1 are written to FOLDER/traps. FOLDER/ready says that all of this works.
"""

import os
import selectors
import socket
import struct
import subprocess
import sys

ADDRESS = "192.0.2.7"
folder = sys.argv[1]
selector = selectors.DefaultSelector()


def answer_http(listener):
    stream, _ = listener.accept()
    stream.settimeout(5)
    try:
        request = b""
        while b"\r\n\r\n" not in request:
            part = stream.recv(4096)
            if not part:
                break
            request += part
        stream.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n")
    except OSError:
        pass
    stream.close()


def answer_tcp(listener):
    listener.accept()[0].close()


def answer_name(server):
    """Whatever is asked has the address 192.0.2.7."""
    question, sender = server.recvfrom(4096)
    end = question.index(b"\0", 12) + 5
    header = question[:2] + struct.pack(">HHHHH", 0x8580, 1, 1, 0, 0)
    record = struct.pack(">HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(ADDRESS)
    server.sendto(header + question[12:end] + record, sender)


def keep_trap(server):
    packet, _ = server.recvfrom(65536)
    with open(os.path.join(folder, "traps"), "a", encoding="utf-8") as file:
        file.write(packet.decode("utf-8", "replace") + "\n\n")


def listen(kind, address, port, action):
    server = socket.socket(socket.AF_INET, kind)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, port))
    if kind == socket.SOCK_STREAM:
        server.listen(16)
    selector.register(server, selectors.EVENT_READ, action)
    return server


def ip(*words):
    subprocess.run(["ip", *words], check=True)


ip("link", "set", "lo", "up")
# Who is not here does not answer; without a route the sender itself would complain.
ip("route", "add", "192.0.2.0/24", "dev", "lo")
listen(socket.SOCK_DGRAM, "127.0.0.1", 2583, keep_trap)
servers = []
while True:
    wanted = os.path.exists(os.path.join(folder, "good"))
    if wanted and not servers:
        ip("addr", "add", ADDRESS + "/32", "dev", "lo")
        servers = [
            listen(socket.SOCK_STREAM, ADDRESS, 80, answer_http),
            listen(socket.SOCK_STREAM, ADDRESS, 7000, answer_tcp),
            listen(socket.SOCK_DGRAM, ADDRESS, 53, answer_name),
        ]
        open(os.path.join(folder, "ready"), "w", encoding="utf-8").close()
    if not wanted and servers:
        for server in servers:
            selector.unregister(server)
            server.close()
        servers = []
        ip("addr", "del", ADDRESS + "/32", "dev", "lo")
    for key, _ in selector.select(0.05):
        key.data(key.fileobj)
