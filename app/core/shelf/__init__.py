"""The catalog as a person sees it: rows, and downloads that go on."""
