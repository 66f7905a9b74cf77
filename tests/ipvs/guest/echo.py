# Both ends of a service over TCP, UDP or SCTP: a server that answers with its name, and a client,
# which also asks over HTTP.
#
#   echo.py serve tcp|udp|sctp ADDRESS PORT NAME         prints "ready", then answers for ever
#   echo.py ask http|tcp|udp|sctp|sip:CALL ADDRESS PORT TIMES
#                                                        prints the answers, fails when one is missing
#   echo.py hold tcp|udp ADDRESS PORT TIMES              so many connections at once, see below
#
# Each question comes from a port of its own, and from the address FROM where the environment has it:
# the director chooses a real server for each. Held
# connections are asked again for each line of standard input, and closed at its end; one line is
# printed each time, with the names of those who answered and "nobody" for each other.
import os
import socket
import sys
import threading

LIMIT = 5
SCTP = 132
# What the kernel wants to see of a call.
SIP = "OPTIONS sip:10.0.0.3 SIP/2.0\r\nCall-ID: {}@example.org\r\n\r\n"

role, transport, address, port, last = sys.argv[1:]
transport, _, call = transport.partition(":")
source = os.environ.get("FROM")
family = socket.AF_INET6 if ":" in address else socket.AF_INET
where = (address, int(port))


def new():
    if transport in ("udp", "sip"):
        return socket.socket(family, socket.SOCK_DGRAM)
    return socket.socket(family, socket.SOCK_STREAM, SCTP if transport == "sctp" else 0)


def talk(asker):
    # An SCTP association is over with its first question.
    while asker.recv(100):
        asker.send(last.encode())
        if transport == "sctp":
            break
    asker.close()


if role == "serve":
    own = new()
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    own.bind(where)
    if transport != "udp":
        own.listen(100)
    print("ready", flush=True)
    while True:
        if transport == "udp":
            _, asker = own.recvfrom(1000)
            own.sendto(last.encode(), asker)
        else:
            asker, _ = own.accept()
            threading.Thread(target=talk, args=(asker,), daemon=True).start()

if role == "hold":
    held = [new() for _ in range(int(last))]
    for one in held:
        one.settimeout(LIMIT)
        one.connect(where)
    print("ready", flush=True)
    for _ in sys.stdin:
        names = []
        for one in held:
            try:
                one.send(b"who?")
                names.append(one.recv(100).decode() or "nobody")
            except OSError:
                names.append("nobody")
        print(",".join(names), flush=True)
    sys.exit()

for _ in range(int(last)):
    own = new()
    own.settimeout(LIMIT)
    if source:
        own.bind((source, 0))
    own.connect(where)
    if transport == "http":
        own.send(b"GET / HTTP/1.0\r\n\r\n")
        answer = own.makefile("rb").read().decode()
        print(answer.split("\r\n\r\n")[1].strip())
    else:
        own.send(SIP.format(call).encode() if call else b"who?")
        print(own.recv(100).decode())
    own.close()
