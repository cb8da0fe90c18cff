"""Image uploads off your Django server, by Tintype. The settings are in conf.py, the calls for your code in uploads.py."""
