"""Unmodified clients that call through the sidecar, each until it is cut.

usage: python streams_client.py websocket|events|grpc ADDRESS

Prints one JSON object with what it saw and when ("at", seconds since the epoch) it was cut.
"""

import json
import sys
import time

ADDRESS = sys.argv[2]


def websocket():
    from websockets.exceptions import ConnectionClosed, InvalidStatus
    from websockets.sync.client import connect

    with connect(f"ws://{ADDRESS}/web/echo") as socket:
        said = json.loads(socket.recv(10))
        big = bytes(range(256)) * 1000
        echoed = []
        for message in ["hello", "", big]:
            socket.send(message)
            echoed.append(socket.recv(10) == message)
        try:
            socket.recv(60)
            closed = None
        except ConnectionClosed as error:
            closed = error
        result = said | {"echoed": echoed, "code": closed.rcvd.code, "reason": closed.rcvd.reason, "at": time.time()}
    # Frames of the server are on their way when the time is over: the close frame comes between two of them.
    with connect(f"ws://{ADDRESS}/web/ticks") as socket:
        ticking = json.loads(socket.recv(10))
        ticks = 0
        try:
            while True:
                socket.recv(60)
                ticks += 1
        except ConnectionClosed as error:
            ticking |= {"ticks": ticks, "code": error.rcvd and error.rcvd.code, "at": time.time()}
    try:
        connect(f"ws://{ADDRESS}/web/refuse")
        refused = None
    except InvalidStatus as error:
        refused = [error.response.status_code, error.response.body.decode()]
    return result | {"ticking": ticking, "refused": refused}


def events():
    import httpx

    seen = []
    with httpx.Client(timeout=30) as client, client.stream("GET", f"http://{ADDRESS}/events/all") as answer:
        kind = answer.headers["content-type"]
        try:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    seen.append((json.loads(line[6:]), time.time()))
            ended = "whole"
        except httpx.RemoteProtocolError:
            ended = "broken off"
        at = time.time()
    (said, _), *numbers = seen
    gaps = [later - earlier for (_, earlier), (_, later) in zip(numbers, numbers[1:])]
    return said | {
        "type": kind,
        "events": len(numbers),
        "in_order": [number for number, _ in numbers] == list(range(len(numbers))),
        "longest_gap": max(gaps),
        "ended": ended,
        "at": at,
    }


def grpc_calls():
    import grpc

    def status(call):
        try:
            for _ in call:
                pass
            return ["OK", ""]
        except grpc.RpcError as error:
            return [error.code().name, error.details()]

    with grpc.insecure_channel(ADDRESS) as channel:
        path = "/test.Streams/"
        answer, call = channel.unary_unary(path + "Unary").with_call(b"x" * 100_000, timeout=10)
        said = json.loads(dict(call.initial_metadata())["x-seen"])
        result = {
            "unary": len(answer),
            "trailer": dict(call.trailing_metadata())["x-length"],
            "workload": said["workload"],
            "client_stream": channel.stream_unary(path + "ClientStream")(iter([b"a", b"b", b"c"]), timeout=10).decode(),
            "server_stream": len(list(channel.unary_stream(path + "ServerStream")(b"500", timeout=10))),
        }
        # Each message is answered before the next is sent.
        answered = []

        def requests():
            for number in range(20):
                yield str(number).encode()
                while len(answered) <= number:
                    time.sleep(0.001)

        for message in channel.stream_stream(path + "BothStreams")(requests(), timeout=20):
            answered.append(message)
        result["both_streams"] = len(answered)
        try:
            channel.unary_unary(path + "Fail")(b"", timeout=10)
        except grpc.RpcError as error:
            result["failed"] = [error.code().name, error.details()]
        hanging = channel.unary_stream(path + "Hang")(b"", timeout=30)
        next(hanging)
        hanging.cancel()
        result["cancelled"] = channel.unary_unary(path + "WasCancelled")(b"", timeout=20).decode()
        ticking = channel.unary_stream(path + "Ticks")(b"", timeout=60)
        said = json.loads(next(ticking))
        return result | {"exp": said["exp"], "cut": status(ticking), "at": time.time()}


print(json.dumps({"websocket": websocket, "events": events, "grpc": grpc_calls}[sys.argv[1]]()))
