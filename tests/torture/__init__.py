"""Nothing is lost, tried by breaking it: servers are killed at random while clients upload and the backend fails.

`plan` says how hard, `book` keeps what the clients were promised, `clients`, `forwarder` and `backend` are the world
around Tintype, `killer` ends its processes, `audit` looks whether every promise was kept, `trial` puts them together.
"""
