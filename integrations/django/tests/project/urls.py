from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls), path("async_image_upload/", include("django_tintype.urls"))]
