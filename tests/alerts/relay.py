"""A mail relay for the tests: aiosmtpd's SMTP server, told how to misbehave.

Each message becomes one JSON file in the folder, numbered in the order of acceptance. The port is
written to the file `port` there. While a file `hold` is there, no message is accepted beyond the
number that stands in it.
"""

import argparse
import asyncio
import json
import os
import ssl
import time

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

words = argparse.ArgumentParser()
words.add_argument("--dir", required=True)
words.add_argument("--port", type=int, default=0)
words.add_argument("--refuse", action="append", default=[], help="550 for this recipient")
words.add_argument("--later", action="append", default=[], help="450 for it the first time")
words.add_argument("--reject-data", action="store_true", help="554 for every message")
words.add_argument("--delay", type=float, default=0, help="seconds before a message is accepted")
words.add_argument("--host", default="127.0.0.1")
words.add_argument("--greet", type=float, default=0, help="seconds before the greeting")
words.add_argument("--cert")
words.add_argument("--key")
words.add_argument("--smtps", action="store_true")
words.add_argument("--login", help="USER:PASSWORD, required")
options = words.parse_args()
seen = set()


def accepted():
    return sum(name.endswith(".json") for name in os.listdir(options.dir))


def is_held():
    try:
        with open(os.path.join(options.dir, "hold")) as file:
            return accepted() >= int(file.read() or 0)
    except FileNotFoundError:
        return False


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address in options.refuse:
            return "550 5.1.1 no such user here"
        if address in options.later and address not in seen:
            seen.add(address)
            return "450 4.2.0 greylisted, try again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        await asyncio.sleep(options.delay)
        while is_held():
            await asyncio.sleep(0.01)
        if options.reject_data:
            return "554 5.7.1 not wanted"
        message = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "data": envelope.content.decode("ascii"),
            "tls": session.ssl is not None or options.smtps,
            "login": session.auth_data.login.decode() if session.authenticated else None,
            "hello": session.host_name,
        }
        name = os.path.join(options.dir, "%06d" % accepted())
        with open(name, "w") as file:
            json.dump(message, file)
        os.rename(name, name + ".json")
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    user, password = options.login.encode().split(b":")
    fits = isinstance(data, LoginPassword) and (data.login, data.password) == (user, password)
    return AuthResult(success=fits, handled=False, auth_data=data)


class Slow(SMTP):
    def connection_made(self, transport):
        if options.greet:
            time.sleep(options.greet)
        super().connection_made(transport)


def server():
    more = {}
    if options.login:
        more.update(auth_required=True, authenticator=authenticate)
        more.update(auth_require_tls=bool(options.cert) and not options.smtps)
    if context and not options.smtps:
        more.update(tls_context=context)
    return Slow(Handler(), enable_SMTPUTF8=False, **more)


context = None
if options.cert:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(options.cert, options.key)


async def main():
    loop = asyncio.get_running_loop()
    wrapped = context if options.smtps else None
    listening = await loop.create_server(
        server, options.host, options.port, ssl=wrapped, reuse_address=True
    )
    port = os.path.join(options.dir, "port")
    with open(port + ".new", "w") as file:
        file.write(str(listening.sockets[0].getsockname()[1]))
    os.rename(port + ".new", port)
    await listening.serve_forever()


asyncio.run(main())
