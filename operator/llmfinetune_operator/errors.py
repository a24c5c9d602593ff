"""What can go wrong between the operator and the API server, by what has to follow."""


class OperatorError(Exception):
    """Base of this program's own errors."""


class ApiError(OperatorError):
    """A request to the API server failed."""

    def __init__(self, reason: str, *, what: str, status: int = 0, retry_after: float = 0.0) -> None:
        super().__init__(f"{what}: {reason}")
        self.reason = reason
        """What the server said, without the request that it said it to."""
        self.status = status
        """HTTP status, 0 when there was no answer."""
        self.retry_after = retry_after
        """Seconds that the server asked to wait."""


class UnavailableError(ApiError):
    """Nobody answered, or the server is not able to now: the same request may succeed later."""


class ConflictError(ApiError):
    """The object is not the one that was read any more: read it again."""


class ExistsError(ConflictError):
    """There is an object already where a new one was to be made."""


class NotFoundError(ApiError):
    """The object, or its kind, does not exist."""


class RefusedError(ApiError):
    """The server or one of its webhooks understood the request and refused it."""


class BadReportError(OperatorError):
    """A progress report that cannot be accepted."""

    def __init__(self, message: str, *, status: int, result: str) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status that says so."""
        self.result = result
        """Label for the metric of reports."""


class UsageError(OperatorError):
    """The command line or the environment cannot be used."""
