"""A backend's side of step 6: takes callbacks, checks their signature, prints what they tell.

    pip install standardwebhooks
    TINTYPE_CALLBACK__SECRET=whsec_... python3 examples/listen.py [port]
"""
import base64
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

secret = os.environ.get("TINTYPE_CALLBACK__SECRET") or sys.exit("set TINTYPE_CALLBACK__SECRET to the secret that Tintype has")
webhook = Webhook(secret)
if len(base64.b64decode(secret.removeprefix("whsec_"))) < 24:
    sys.exit("the secret is too short: it is `whsec_` and 24 bytes or more in base64")


class Listener(BaseHTTPRequestHandler):
    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            told = webhook.verify(body, {name.lower(): value for name, value in self.headers.items()})
        except (WebhookVerificationError, ValueError) as error:  # ValueError: not even the shape of a signature
            print(f"refused: {error}", flush=True)
            return self.answer(401)
        # Deliveries come at least once: remember webhook-id to do the work once.
        print(f"{self.headers['webhook-id']}: {told['id']} {told['status']}", flush=True)
        for variant in told.get("variants", []):
            print(f"  {variant['name']:16} {variant['width']}x{variant['height']}  {variant['url']}", flush=True)
        if "error" in told:
            print(f"  {told['error']['code']}: {told['error']['message']}", flush=True)
        self.answer(204)

    do_POST = do_PUT

    def answer(self, status):
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8099
    try:
        server = HTTPServer(("127.0.0.1", port), Listener)
    except OSError:
        sys.exit(f"port {port} is taken; is an older listener still running? Another port: listen.py PORT")
    print(f"listening on http://127.0.0.1:{port}", flush=True)
    server.serve_forever()
