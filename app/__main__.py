"""``python -m twinlens.app`` is the ``twinlens`` command."""

from twinlens.app.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
