"""What is killed: one `tintype serve`, or several processes on one store and one ledger."""
from pathlib import Path

from support.tintype import Server

from .plan import Plan


class Cluster:
    def __init__(self, plan: Plan, home: Path, env: dict, store=None):
        commands = ["serve", "serve", "work"] if plan.shared else ["serve"]
        self.nodes = [Server(home / f"{command}{n}", env=env, start=False, command=command) for n, command in enumerate(commands)]
        for node in self.nodes:
            node.spawn()  # all at once: each would make the tables
        for node in self.nodes:
            node.daemon.wait_ready(node.is_ready)
        self.store = store or self.nodes[0].at
        self.apis = [node.url for node in self.nodes if node.command == "serve"]

    def api(self, dice) -> str:
        return dice.choice(self.apis)

    def logs(self) -> str:
        return "\n".join((node.home / "tintype.log").read_text(errors="replace") for node in self.nodes)

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()
