"""The benchmark (`make bench`): the receiver beside what bounds it from above and from below, in one run."""
