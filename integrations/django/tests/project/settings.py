"""A project as small as it gets; variables choose what the tests turn."""
import os
from typing import Any
from urllib.parse import unquote, urlsplit

SECRET_KEY = "of the tests"
USE_TZ = True
ROOT_URLCONF = "project.urls"
INSTALLED_APPS = ["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.messages",
                  "django.contrib.sessions", "django.contrib.staticfiles", "django_tintype", "gallery"]
if os.environ.get("WITH_DRF", "1") == "1":
    INSTALLED_APPS.append("rest_framework")
if model := os.environ.get("WITH_MODEL"):
    PROCESSED_IMAGE_MODEL = model
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.csrf.CsrfViewMiddleware",
              "django.contrib.auth.middleware.AuthenticationMiddleware", "django.contrib.auth.middleware.LoginRequiredMiddleware",
              "django.contrib.messages.middleware.MessageMiddleware"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {"context_processors": [
    "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages"]}}]
STATIC_URL = "/static/"
DATABASES: dict[str, Any] = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
if postgres := os.environ.get("WITH_POSTGRES"):
    at = urlsplit(postgres)
    DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "HOST": at.hostname, "PORT": at.port,
                             "NAME": at.path[1:], "USER": at.username, "PASSWORD": unquote(at.password or "")}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ASYNC_IMAGE_UPLOAD_BUCKET = "photos"
ASYNC_IMAGE_UPLOAD_REGION = "eu-west-1"
ASYNC_IMAGE_UPLOAD_CALLBACK_SECRETS = ["whsec_dGludHlwZSB0ZXN0cyBzaWduIHdpdGggdGhpcw=="]
AWS_ACCESS_KEY_ID, AWS_ACCESS_KEY_SECRET = "key", "secret"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
