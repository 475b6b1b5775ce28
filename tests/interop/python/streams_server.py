"""The APIs behind the gateway: WebSocket, Server-Sent Events and gRPC, written with foreign libraries.

usage: python streams_server.py WEBSOCKET_PORT EVENTS_PORT GRPC_PORT

Each first says when the caller's token ends and who the gateway says is calling. Prints "ready" once all three listen.
"""

import asyncio
import base64
import json
import sys
from http import HTTPStatus

import grpc
from websockets.asyncio.server import serve

TICK = 0.05


def seen(headers):
    """What the gateway told us, with the end of the token that it passed on."""
    payload = headers["authorization"].split(" ")[1].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return {"exp": claims["exp"], "workload": headers["x-workload-id"]}


def refuse(connection, request):
    if request.path == "/web/refuse":
        return connection.respond(HTTPStatus.FORBIDDEN, "not today")
    return None


async def websocket(connection):
    await connection.send(json.dumps(seen(connection.request.headers)))
    if connection.request.path == "/web/ticks":
        while True:
            await connection.send("tick " + "x" * 1000)
            await asyncio.sleep(TICK)
    async for message in connection:
        await connection.send(message)


async def events(reader, writer):
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
    # The token is case sensitive.
    for line in head.split("\r\n"):
        if line.lower().startswith("authorization: "):
            headers["authorization"] = line.split(": ", 1)[1]

    async def send(event):
        data = f"data: {event}\n\n".encode()
        writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await writer.drain()

    writer.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-store\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    try:
        await send(json.dumps(seen(headers)))
        for number in range(10_000):
            await send(number)
            await asyncio.sleep(TICK)
    except ConnectionError:
        pass
    finally:
        writer.close()


def metadata(context):
    return dict(context.invocation_metadata())


async def unary(request, context):
    await context.send_initial_metadata((("x-seen", json.dumps(seen(metadata(context)))),))
    context.set_trailing_metadata((("x-length", str(len(request))),))
    return request


async def client_stream(requests, context):
    # Answers only once the client has closed its half.
    return b"".join([request async for request in requests])


async def server_stream(request, context):
    for number in range(int(request)):
        yield str(number).encode()


async def ticks(request, context):
    yield json.dumps(seen(metadata(context))).encode()
    while True:
        yield b"tick"
        await asyncio.sleep(TICK)


async def both_streams(requests, context):
    async for request in requests:
        yield request


async def fail(request, context):
    await context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")


CANCELLED = asyncio.Event()


async def hang(request, context):
    try:
        yield b"begun"
        await asyncio.sleep(3600)
    finally:
        CANCELLED.set()


async def was_cancelled(request, context):
    await asyncio.wait_for(CANCELLED.wait(), 10)
    return b"yes"


HANDLERS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream),
    "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream),
    "BothStreams": grpc.stream_stream_rpc_method_handler(both_streams),
    "Ticks": grpc.unary_stream_rpc_method_handler(ticks),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Hang": grpc.unary_stream_rpc_method_handler(hang),
    "WasCancelled": grpc.unary_unary_rpc_method_handler(was_cancelled),
}


async def main(websocket_port, events_port, grpc_port):
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Streams", HANDLERS),))
    server.add_insecure_port(f"127.0.0.1:{grpc_port}")
    await server.start()
    await asyncio.start_server(events, "127.0.0.1", events_port)
    async with serve(websocket, "127.0.0.1", websocket_port, process_request=refuse):
        print("ready", flush=True)
        await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
