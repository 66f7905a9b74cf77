# Both ends of a service over UDP or SCTP: a server that answers with its name, and a client,
# which also asks over HTTP.
#
#   echo.py serve udp|sctp ADDRESS PORT NAME         prints "ready", then answers for ever
#   echo.py ask http|udp|sctp ADDRESS PORT TIMES     prints the answers, fails when one is missing
#
# Each question comes from a port of its own: the director chooses a real server for each.
import socket
import sys

LIMIT = 5
SCTP = 132

role, transport, address, port, last = sys.argv[1:]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
where = (address, int(port))


def new():
    if transport == "udp":
        return socket.socket(family, socket.SOCK_DGRAM)
    return socket.socket(family, socket.SOCK_STREAM, SCTP if transport == "sctp" else 0)


if role == "serve":
    own = new()
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    own.bind(where)
    if transport == "sctp":
        own.listen()
    print("ready", flush=True)
    while True:
        if transport == "udp":
            _, asker = own.recvfrom(100)
            own.sendto(last.encode(), asker)
        else:
            asker, _ = own.accept()
            asker.recv(100)
            asker.send(last.encode())
            asker.close()

for _ in range(int(last)):
    own = new()
    own.settimeout(LIMIT)
    own.connect(where)
    if transport == "http":
        own.send(b"GET / HTTP/1.0\r\n\r\n")
        answer = own.makefile("rb").read().decode()
        print(answer.split("\r\n\r\n")[1].strip())
    else:
        own.send(b"who?")
        print(own.recv(100).decode())
    own.close()
