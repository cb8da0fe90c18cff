"""A Django project as `startproject` makes it, with the package as it is installed, and a browser that uses it."""
import json
import os
import re
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

import requests

from .process import REPO, Daemon, free_port, wait_for

PACKAGE = REPO / "integrations/django"
BIN = REPO / ".peers/django/bin"
USER, PASSWORD = "ada", "lovelace-1815"
BROWSER = Path(__file__).parent / "django_browser.py"


def install(folder: Path) -> Path:
    """Builds the package and installs what was built, as pip does it, into a folder."""
    subprocess.run([BIN / "python", "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=PACKAGE, check=True,
                   capture_output=True)
    [wheel] = folder.glob("*.whl")
    subprocess.run([BIN / "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--no-index", "--target",
                    folder / "site", wheel], check=True)
    return folder / "site"


class Project:
    """`settings` are lines that are added to what `startproject` wrote; `database` is an address of Postgres, or SQLite is used."""

    def __init__(self, home: Path, site: Path, settings: list[str], apps: tuple = (), database: str = "", env: dict | None = None):
        home.mkdir(parents=True)
        self.home, self.port = home, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.callback_url = self.url + "/async_image_upload/presignedurl/{id}/"
        self.env = {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
        subprocess.run([BIN / "django-admin", "startproject", "shop", home], check=True)
        self.change("shop/settings.py", "INSTALLED_APPS = [\n", "".join(
            ["INSTALLED_APPS = [\n", '    "django_tintype",\n', *(f'    "{app}",\n' for app in apps)]))
        self.change("shop/urls.py", "from django.urls import path", "from django.urls import include, path")
        self.change("shop/urls.py", "urlpatterns = [\n",
                    'urlpatterns = [\n    path("async_image_upload/", include("django_tintype.urls")),\n')
        self.change("shop/settings.py", "", "\n".join(settings) + "\n")
        if database:
            at = urlsplit(database)
            self.change("shop/settings.py", "", "DATABASES = " + repr({"default": {
                "ENGINE": "django.db.backends.postgresql", "HOST": at.hostname, "PORT": at.port, "NAME": at.path[1:],
                "USER": at.username, "PASSWORD": unquote(at.password)}}) + "\n")
        else:  # as docs/django.md asks: by default SQLite refuses one of two who write at once
            self.change("shop/settings.py", "", 'DATABASES["default"]["OPTIONS"] = {"transaction_mode": "IMMEDIATE"}\n')
        # What `runserver` does by itself, any other server needs to be told: static files.
        self.change("shop/asgi.py", "application = get_asgi_application()", "application = ASGIStaticFilesHandler(get_asgi_application())")
        self.change("shop/asgi.py", "import os\n", "import os\n\nfrom django.contrib.staticfiles.handlers import ASGIStaticFilesHandler\n")
        self.daemon: Daemon | None = None

    def change(self, file: str, old: str, new: str) -> None:
        """Puts `new` in the place of `old`; of nothing, at the end."""
        path = self.home / file
        text = path.read_text() if path.exists() else ""
        assert old in text, f"{file} has no {old!r}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace(old, new, 1) if old else text + new)

    def manage(self, *args, env: dict | None = None, check: bool = True) -> str:
        done = subprocess.run([BIN / "python", "manage.py", *args], cwd=self.home, capture_output=True, text=True,
                              env={**os.environ, **self.env, **(env or {})}, timeout=120)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def start(self, server: str = "runserver") -> "Project":
        self.manage("migrate")
        self.manage("createsuperuser", "--noinput", env={
            "DJANGO_SUPERUSER_USERNAME": USER, "DJANGO_SUPERUSER_PASSWORD": PASSWORD, "DJANGO_SUPERUSER_EMAIL": "ada@example.com"})
        return self.run(server)

    def run(self, server: str = "runserver") -> "Project":
        """What `start` does, once the database is there."""
        argv = {"runserver": [BIN / "python", "manage.py", "runserver", "--noreload", f"127.0.0.1:{self.port}"],
                "uvicorn": [BIN / "uvicorn", "--port", self.port, "--lifespan", "off", "shop.asgi:application"]}[server]
        self.daemon = Daemon(argv, self.home / "django.log", self.env, self.home)
        self.daemon.wait_ready(lambda: requests.get(f"{self.url}/admin/login/", timeout=2).ok)
        return self

    def login(self, user: str = USER) -> requests.Session:
        """A user, with the token that Django wants to see again."""
        session = requests.Session()
        session.get(f"{self.url}/admin/login/")
        session.headers["X-CSRFToken"] = session.cookies["csrftoken"]
        got = session.post(f"{self.url}/admin/login/?next=/admin/", data={"username": user, "password": PASSWORD})
        assert "Site administration" in got.text, got.text
        session.headers["X-CSRFToken"] = session.cookies["csrftoken"]
        return session

    def ask(self, session: requests.Session, body) -> requests.Response:
        return session.post(f"{self.url}/async_image_upload/presignedurl/", json=body)

    def standing(self, session: requests.Session, uuid: str) -> dict:
        got = session.get(f"{self.url}/async_image_upload/presignedurl/{uuid}/")
        assert got.status_code == 200, got.text
        return got.json()

    def ended(self, session: requests.Session, uuid: str) -> dict:
        def look():
            stands = self.standing(session, uuid)
            return stands if stands["status"] != "pending" else None
        return wait_for(f"callback of {uuid}", look)

    def log(self) -> str:
        return (self.home / "django.log").read_text()

    def stop(self) -> None:
        if self.daemon:
            self.daemon.stop()


def browse(script: str, **given) -> dict:
    """Runs a function of django_browser.py in Chromium; what it saw."""
    done = subprocess.run([BIN / "python", BROWSER, script, json.dumps(given)], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, re.sub(r"\n\s*at .*", "", done.stderr)[-4000:]
    return json.loads(done.stdout)
