"""`make plan`: which machines a number of reports a day needs, computed from measured costs."""
