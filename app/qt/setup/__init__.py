"""What becomes of a dropped file: looked at, asked about, proved, used."""
