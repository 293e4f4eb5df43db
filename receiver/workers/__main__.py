"""Entry point of a worker; the supervisor starts it."""

import signal
import sys

if __name__ == "__main__":
    # Until the worker has handlers: SIGINT ends it; what `systemctl kill` sends to all processes must not.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for number in (signal.SIGHUP, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    from receiver.workers.worker import main

    sys.exit(main(int(sys.argv[1])))
