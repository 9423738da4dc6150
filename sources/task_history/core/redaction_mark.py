"""What stands in the place of a secret that was redacted."""

MARK = "[redacted]"
