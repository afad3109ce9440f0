"""An open-loop load generator for bench/load.py: requests at a rate that does not wait; a job as JSON on stdin.

What is due is sent each millisecond over whatever connection is idle, and its time counts from then on, wherever it has
to wait. Prints offered and answered by status, with percentiles of their milliseconds, as JSON.
"""

import asyncio
import base64
import json
import statistics
import sys
import time

import uvloop

LULL_S = 2.0  # after the last request, for answers to come


class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, flood):
        self.flood, self.due, self.missing, self.status = flood, None, 0, None

    def connection_made(self, transport):
        self.transport = transport
        self.flood.idle.append(self)

    def send(self, due):
        self.due, self.missing = due, 0
        self.transport.write(self.flood.request)

    def data_received(self, data):
        if self.missing:
            self.missing -= len(data)
        else:  # the head of an answer comes in one piece
            end = data.index(b"\r\n\r\n")
            head = data[:end].lower()
            self.status = int(head[9:12])
            length = head.index(b"content-length:") + 15
            self.missing = int(head[length:].split(b"\r", 1)[0]) - (len(data) - end - 4)
        if self.missing == 0:
            self.flood.answered.setdefault(self.status, []).append(time.perf_counter() - self.due)
            self.flood.idle.append(self)

    def connection_lost(self, error):
        self.flood.lost += 1
        if self in self.flood.idle:
            self.flood.idle.remove(self)


class Flood:
    """All of them."""

    def __init__(self, request):
        self.request, self.idle, self.answered, self.lost = request, [], {}, 0

    async def run(self, port, connections, rate, seconds):
        loop = asyncio.get_running_loop()
        for _ in range(connections // 100):
            await asyncio.gather(
                *(loop.create_connection(lambda: Connection(self), "127.0.0.1", port) for _ in range(100))
            )
        await asyncio.sleep(0.2)
        start, sent = time.perf_counter(), 0
        while (now := time.perf_counter()) < start + seconds:
            due = int((now - start) * rate)
            while sent < due and self.idle:
                self.idle.pop().send(start + sent / rate)
                sent += 1
            await asyncio.sleep(0.001)
        lost = self.lost
        within = {status: len(times) for status, times in self.answered.items()}
        await asyncio.sleep(LULL_S)
        return {
            "offered": sent / seconds,
            "behind": round(seconds * rate) - sent,
            "lost": lost,
            "answered": {
                status: {"rate": within.get(status, 0) / seconds, "ms": percentiles(times)}
                for status, times in self.answered.items()
            },
        }


def percentiles(seconds):
    if len(seconds) < 2:
        return None
    cuts = statistics.quantiles(seconds, n=100)
    return {
        name: round(1000 * value, 3) for name, value in (("p50", cuts[49]), ("p99", cuts[98]), ("max", max(seconds)))
    }


def main():
    job = json.load(sys.stdin)
    body = base64.b64decode(job["body"])
    headers = {"Host": f"127.0.0.1:{job['port']}", "Content-Length": len(body), **job["headers"]}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    flood = Flood(f"POST {job['path']} HTTP/1.1\r\n{lines}\r\n".encode() + body)
    print(json.dumps(uvloop.run(flood.run(job["port"], job["connections"], job["rate"], job["seconds"]))))


if __name__ == "__main__":
    main()
