"""Believable callback traffic against a running receiver, made up from a seed."""
