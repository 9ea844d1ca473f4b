"""What the end-to-end tests stand on: the server as a process, a client, a receiver."""
