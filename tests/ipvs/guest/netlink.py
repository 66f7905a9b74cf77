# What programs say to IPVS: reads along on a device of the kernel's own for that (nlmon).
#
#   netlink.py DEVICE
#
# Prints "ready", then a line for each request: "read", or "write NUMBER" with the number of the command.
import socket
import struct
import sys

ALL = 3
NETLINK_GENERIC = 16
# IPVS_CMD_GET_SERVICE, GET_DEST, GET_DAEMON, GET_CONFIG, GET_INFO
READS = {4, 8, 11, 13, 15}
REQUEST = 1

# nlctrl, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, CTRL_ATTR_FAMILY_ID
CONTROL, GET_FAMILY, NAME, ID = 16, 3, 2, 1


def family_of(name):
    asker = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
    word = name.encode() + b"\0"
    attribute = struct.pack("=HH", 4 + len(word), NAME) + word + bytes(-len(word) % 4)
    body = struct.pack("=BBH", GET_FAMILY, 1, 0) + attribute
    asker.send(struct.pack("=IHHII", 16 + len(body), CONTROL, REQUEST, 1, 0) + body)
    data = asker.recv(1 << 16)[20:]
    while data:
        length, kind = struct.unpack("=HH", data[:4])
        if kind == ID:
            return struct.unpack("=H", data[4:6])[0]
        data = data[(length + 3) & ~3 :]
    sys.exit("no family " + name)


family = family_of("IPVS")
own = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ALL))
own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
own.bind((sys.argv[1], ALL))
print("ready", flush=True)
while True:
    data, about = own.recvfrom(1 << 16)
    if about[1] != NETLINK_GENERIC:
        continue
    while len(data) >= 20:
        length, kind, flags, _, sender = struct.unpack("=IHHII", data[:16])
        # Answers of the kernel have the asker's number too, but not this flag.
        if kind == family and flags & REQUEST and length >= 20:
            command = data[16]
            print("read" if command in READS else f"write {command}", flush=True)
        if length < 16:
            break
        data = data[(length + 3) & ~3 :]
