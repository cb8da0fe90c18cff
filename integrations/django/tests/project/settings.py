"""A project as small as it gets; variables choose what the tests turn."""
import os

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
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
if url := os.environ.get("WITH_POSTGRES"):
    user, password, port, name = url.split(" ")
    DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "PORT": port, "NAME": name,
                             "USER": user, "PASSWORD": password}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ASYNC_IMAGE_UPLOAD_BUCKET = "photos"
ASYNC_IMAGE_UPLOAD_REGION = "eu-west-1"
ASYNC_IMAGE_UPLOAD_CALLBACK_SECRETS = ["whsec_dGludHlwZSB0ZXN0cyBzaWduIHdpdGggdGhpcw=="]
AWS_ACCESS_KEY_ID, AWS_ACCESS_KEY_SECRET = "key", "secret"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
