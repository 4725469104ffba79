"""Nova as operators run it, in miniature: separate processes, two cells' buses, and novacompat in their midst.

    cd tox-compat/tests && /usr/bin/python3 -m e2e          # start, migrate, look, end
    /usr/bin/python3 -m e2e up                              # start, and say how to use and how to end it
"""
