"""Makes the tables, a user with a token and a queue; prints their names as JSON."""

import json
import os
import secrets

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
import django

django.setup()
from django.contrib.auth.models import User
from django.core.management import call_command
from helpdesk.models import Queue
from rest_framework.authtoken.models import Token

call_command("migrate", verbosity=0)
user = User.objects.create_superuser("casehook", "casehook@example.invalid", secrets.token_urlsafe(16))
queue = Queue.objects.create(slug="cases", title="Cases")
token = Token.objects.create(user=user)
print(json.dumps({"token": token.key, "queue": queue.id}))
