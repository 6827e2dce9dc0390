"""Serves django-helpdesk or a Roundup tracker on 127.0.0.1: serve.py helpdesk PORT | serve.py roundup PORT HOME."""

import os
import sys

import waitress

system, port = sys.argv[1], int(sys.argv[2])
if system == "helpdesk":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    from django.core.wsgi import get_wsgi_application

    application = get_wsgi_application()
else:
    from roundup.cgi.wsgi_handler import RequestDispatcher

    application = RequestDispatcher(sys.argv[3])
waitress.serve(application, host="127.0.0.1", port=port, threads=4, _quiet=True)
