"""A Lambda function without AWS: the documented runtime API on loopback, and the real `bootstrap` that polls it.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""
import json
import os
import queue
import threading
import time
import uuid
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .process import REPO, Daemon, free_port, wait_for

BOOTSTRAP = Path(os.environ.get("BOOTSTRAP_UNDER_TEST", REPO / "target/release/bootstrap")).resolve()


@dataclass
class Result:
    ok: bool
    body: dict
    seconds: float


class Killed(Exception):
    """The function was still running at its deadline; Lambda kills it then."""


class Function:
    """`invoke(event)` as Lambda does it: one event at a time, killed at its timeout, started again when it died."""

    def __init__(self, home: Path, env: dict, memory: int = 1024, timeout: float = 30):
        home.mkdir(parents=True, exist_ok=True)
        self.home, self.timeout = home, timeout
        self.events, self.answers = queue.Queue(), queue.Queue()
        self.polled = threading.Event()
        self.first_poll: float | None = None
        self.port = free_port()
        self.env = {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.port}", "AWS_LAMBDA_FUNCTION_NAME": "ThumbnailFunction",
                    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory), "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
                    "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/ThumbnailFunction", "AWS_LAMBDA_LOG_STREAM_NAME": "test",
                    **env}
        self.given_up: set[str] = set()
        self.daemon: Daemon | None = None
        self.server = self._runtime_api()

    def _runtime_api(self) -> ThreadingHTTPServer:
        function = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

            def do_GET(self):
                function.first_poll = function.first_poll or time.perf_counter()
                function.polled.set()
                request, event, deadline = function.events.get()
                if request is None:
                    self.close_connection = True
                    return
                body = event.encode() if isinstance(event, str) else json.dumps(event).encode()
                self.send_response(200)
                for name, value in {"Lambda-Runtime-Aws-Request-Id": request, "Content-Type": "application/json",
                                    "Lambda-Runtime-Deadline-Ms": str(int(deadline * 1000)), "Content-Length": len(body),
                                    "Lambda-Runtime-Invoked-Function-Arn":
                                        "arn:aws:lambda:us-east-1:000000000000:function:ThumbnailFunction"}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                function.answers.put((self.path.split("/")[-2], self.path.endswith("/response"), json.loads(body)))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args):
                """A function that is killed leaves its connection."""

        server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server

    def start(self) -> float:
        """Starts the program; gives the seconds until it first polled."""
        self.first_poll = None
        self.polled.clear()
        began = time.perf_counter()
        self.daemon = Daemon([BOOTSTRAP], self.home / "function.log", self.env, self.home)
        if not self.polled.wait(30):
            raise TimeoutError(f"{BOOTSTRAP} did not poll\n{self.daemon.tail()}")
        return self.first_poll - began

    def invoke(self, event, timeout: float | None = None) -> Result:
        if self.daemon is None or self.daemon.child.poll() is not None:
            self.start()
        timeout = timeout or self.timeout
        request, began = str(uuid.uuid4()), time.perf_counter()
        self.events.put((request, event, time.time() + timeout))
        try:
            answered, ok, body = self.answers.get(timeout=timeout)
            while answered in self.given_up:  # said as it was killed
                answered, ok, body = self.answers.get(timeout=timeout)
        except queue.Empty:
            self.given_up.add(request)
            self.daemon.kill()
            raise Killed(f"not done in {timeout} s\n{self.daemon.tail()}") from None
        assert answered == request, "an answer to another request"
        return Result(ok, body, time.perf_counter() - began)

    def metrics(self) -> list[dict]:
        """What was written in the embedded metric format."""
        lines = [line for line in self.daemon.log.read_text(errors="replace").splitlines() if '"_aws"' in line]
        return [json.loads(line) for line in lines]

    def total(self, metric: str) -> float:
        """The sum of a metric over all invocations."""
        values = [line.get(metric, 0) for line in self.metrics()]
        return sum(sum(v["Values"]) if isinstance(v, dict) else sum(v) if isinstance(v, list) else v for v in values)

    def stop(self) -> None:
        if self.daemon:
            self.daemon.stop(grace=1)
        self.events.put((None, None, 0))
        self.server.shutdown()
        self.server.server_close()


def record(bucket: str, key: str, **more) -> dict:
    """One record of an S3 event, as AWS writes it; `key` as it goes over the wire. What is `None` is left out."""
    its = {"key": key, "sequencer": "0055AED6DCD90281E5", **more}
    return {"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
            "eventTime": "2026-01-02T03:04:05.678Z", "eventName": "ObjectCreated:Post",
            "s3": {"s3SchemaVersion": "1.0", "configurationId": "tintype",
                   "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
                   "object": {name: value for name, value in its.items() if value is not None}}}


def s3_event(bucket: str, *keys: str) -> dict:
    return {"Records": [record(bucket, key) for key in keys]}


def in_sns(event: dict) -> dict:
    """As SNS invokes a function."""
    return {"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "EventSubscriptionArn": "arn:aws:sns:us-east-1:0:t:s",
                         "Sns": {"Type": "Notification", "MessageId": str(uuid.uuid4()), "Subject": "Amazon S3 Notification",
                                 "TopicArn": "arn:aws:sns:us-east-1:0:t", "Message": json.dumps(event)}}]}


def notification(event: dict) -> dict:
    """As SNS writes into a queue, without raw delivery."""
    return {"Type": "Notification", "MessageId": str(uuid.uuid4()), "TopicArn": "arn:aws:sns:us-east-1:0:t",
            "Subject": "Amazon S3 Notification", "Message": json.dumps(event)}


def in_sqs(*bodies) -> dict:
    """As SQS invokes a function; message n is called `m<n>`."""
    return {"Records": [{"messageId": f"m{n}", "receiptHandle": "r", "eventSource": "aws:sqs", "awsRegion": "us-east-1",
                         "eventSourceARN": "arn:aws:sqs:us-east-1:0:q", "attributes": {"ApproximateReceiveCount": "1"},
                         "body": body if isinstance(body, str) else json.dumps(body)} for n, body in enumerate(bodies)]}


def eventbridge(bucket: str, key: str, kind: str = "Object Created") -> dict:
    return {"version": "0", "id": str(uuid.uuid4()), "detail-type": kind, "source": "aws.s3", "account": "000000000000",
            "time": "2026-01-02T03:04:05Z", "region": "us-east-1", "resources": [f"arn:aws:s3:::{bucket}"],
            "detail": {"version": "0", "bucket": {"name": bucket}, "reason": "PostObject",
                       "object": {"key": key, "sequencer": "0055AED6DCD90281E5"}}}
