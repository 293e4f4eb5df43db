"""Entry point of a worker; the supervisor starts it."""

import signal
import sys

if __name__ == "__main__":
    # Until the worker has handlers: a signal that asks it to stop ends it, and one for replacement is the supervisor's.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    from receiver.workers.worker import main

    sys.exit(main(int(sys.argv[1])))
