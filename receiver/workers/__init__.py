"""Several processes for one service (`RECEIVER_WORKERS`): a supervisor, and workers that take the callbacks.

The supervisor binds the sockets and has everything that there must be once: the embedded PostgreSQL, maintenance of the
database, pulling, and the ops listener, which tells of the whole. It keeps the service's own spool, where submissions
and pulled answers go, and drains those of workers that are gone. A worker is a process of its own program, so that a
replacement runs the code that is installed by then; it has a writer, a spool and a share of every limit.

All workers accept from one listening socket, which they inherit. The alternative, a socket each with SO_REUSEPORT,
spreads connections by a hash and not by load, and resets those that wait in the queue of a worker that dies. Here they
wait in the one queue until somebody accepts them, also while no worker is alive. The price is that all workers wake for
a new connection, and that the first could take them all: so each accepts few in one turn (`server.acceptor`).

A worker and the supervisor talk over a pair of sockets (`channel`), the end of which is also the other's death.
Processes: `supervisor` (lifecycle), `team` (start, watch, replace, stop), `process` (one worker, seen from the
supervisor), `worker` (the worker itself), `former` (the workers of a supervisor that was killed). The whole: `whole`,
`addition` (metrics), `shares` (limits), `slots`.
"""
