"""Lets Nova ask novacompat before a live migration: a wrapper of nova-conductor, and a scheduler filter."""
