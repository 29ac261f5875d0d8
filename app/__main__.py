"""``python -m twinlens.app`` is the ``twinlens`` command."""

from twinlens.app.cli import entry

if __name__ == "__main__":
    entry()
