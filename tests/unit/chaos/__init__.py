"""Tests of what the fault suite concludes from what it saw."""
