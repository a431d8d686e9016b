"""Where this checkout is: what is packaged, started and audited is found from here."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
