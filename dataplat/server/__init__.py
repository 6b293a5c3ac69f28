"""`dataplat serve`: features by HTTP. One supervisor, worker processes that share a socket, a bare hot route."""
