"""The exceptions that this project raises on purpose, as one class hierarchy.

A message says in one sentence what was needed and what came. ``service/http/problems.py`` turns each kind into its HTTP
status, the command line into its exit status.
"""


class ScsError(Exception):
    """The base class of all exceptions that this project raises on purpose.

    Example:
        >>> import scs
        >>> try:
        ...     scs.Search(top=0)
        ... except scs.ScsError as error:
        ...     print(error)
        top is 1 or more; 0 came
    """


class ShapeError(ScsError, ValueError):
    """Arrays that do not fit each other, or do not have the number of dimensions that was needed."""


class OptionError(ScsError, ValueError):
    """An option that is well-formed but names nothing, or asks for something impossible."""


class DtypeError(OptionError, RuntimeError):
    """Arrays of a type that cannot be computed with, or of two; a RuntimeError, too, as torch's layers raise."""


class FixedSizeError(OptionError):
    """A picture of another size than the one that a network takes."""


class GradientError(OptionError):
    """A gradient that was asked for of a network that has an operator without a rule, or does not lead there."""


class UnknownNameError(ScsError, LookupError):
    """A model, version, layer, channel or class that does not exist."""


class ImageError(ScsError, ValueError):
    """Bytes that should have been an image and could not be read as one."""


class UnsupportedImageError(ImageError):
    """Bytes in a format that is no image format, or in one that is not supported."""


class ProtocolError(ScsError, ValueError):
    """A request that violates the protocol it was sent by."""


class TooLargeError(ScsError, ValueError):
    """A request over a limit in bytes, in pixels or in work; raised before the work is done."""


class DeadlineError(ScsError):
    """A request that could not be answered in the time it was given."""


class WorkerLostError(ScsError):
    """A request whose work ended with its process, by a fault of a library or killed from outside."""


class BusyError(ScsError):
    """A request that is refused because the queue is full (backpressure).

    Args:
        message: what was needed and what came.
        retry_after_s: seconds after which it is worth asking again.
    """

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ClientGoneError(ScsError):
    """A request whose client disconnected before the answer was ready."""


class NothingFoundError(ScsError):
    """A search that succeeded and found no match."""


class LookError(ScsError):
    """A search that could not be done, so that nothing is known of what is there."""


class RunError(ScsError):
    """A run over many pictures that could not begin or go on; what was done of it stays."""


class DataError(ScsError):
    """A data set that is missing, incomplete or not what its checksum says."""


class ModelError(ScsError):
    """A model on disk that cannot be trusted or loaded."""


class NotFiniteError(ModelError):
    """A network that answered a picture with numbers that are not finite."""


class ForbiddenError(ModelError):
    """A model of a kind that the operator has not allowed."""


class NoKeyError(ScsError):
    """A change that needs an API key, on a server for which none is set."""


class MissingPackageError(ScsError, ImportError):
    """A command or a model that needs a package which is not installed here."""


class DeviceError(ScsError):
    """A device that was asked for and is not available."""


class ExportError(ScsError):
    """An exported file that does not agree with the network it came from; nothing was written."""


class ServerError(ScsError):
    """A server that could not listen or be reached, or that refused a request."""


class ProblemError(ServerError):
    """A request that a server refused, with what the server said of it (RFC 9457).

    Attributes:
        status: of HTTP.
        title: the status in words.
        detail: what was needed and what came, a sentence.
        kind: the last part of the problem's type, such as ``unknown-name``; docs/http.md lists them. Empty where the
            answer was no problem.

    Example:
        >>> error = ProblemError("http://127.0.0.1:8000", 404, "Not Found", "no model 'cat'", "unknown-name")
        >>> print(error)
        http://127.0.0.1:8000 answered 404: no model 'cat'
        >>> error.kind
        'unknown-name'
    """

    def __init__(self, url: str, status: int, title: str, detail: str, kind: str = "") -> None:
        super().__init__(f"{url} answered {status}: {detail}")
        self.status, self.title, self.detail, self.kind = status, title, detail, kind
