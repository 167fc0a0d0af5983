"""What a store's answers mean, in plain words, and which of them pass."""

import errno
from typing import Any

from .location import Url

_DENIED = (
    "access is denied; the credentials in use may not do this. They come from the environment, the "
    "store's configuration file or the machine's role"
)
_ELSEWHERE = "the bucket is in another region; name it with AWS_REGION"
_REPLACED = "it was replaced while it was read; run again for the new one"
# Answers that do not pass. S3's codes: docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_PERMANENT = {
    "NoSuchBucket": "there is no bucket {place}; check its name and region",
    "InvalidBucketName": "{place} can't be the name of a bucket",
    "NoSuchKey": "it does not exist",
    "404": "it does not exist",
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "401": _DENIED,
    "403": _DENIED,
    "InvalidAccessKeyId": "the store does not know the access key in use",
    "SignatureDoesNotMatch": "the secret key in use does not belong to the access key",
    "ExpiredToken": "the credentials in use have expired; renew them",
    "InvalidToken": "the session token in use is not valid; renew it",
    "RequestTimeTooSkewed": "this machine's clock differs too much from the store's; set the clock",
    "KeyTooLongError": "the name is too long; a store takes 1024 bytes",
    "InvalidObjectState": "it is archived; restore it first",
    "PreconditionFailed": _REPLACED,
    "412": _REPLACED,
    "PermanentRedirect": _ELSEWHERE,
    "AuthorizationHeaderMalformed": _ELSEWHERE,
    "301": _ELSEWHERE,
    "405": "the store does not allow this",
}
_PASSING = {
    *("InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout", "Throttling"),
    *(
        "ThrottlingException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "RequestTimeTooSlow",
    ),
    *("OperationAborted", "IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch"),
    *("TooManyRequests", "408", "409", "429"),
}


class StorageError(ValueError):
    """A store could not do what was asked; the message names the URL."""

    exit_code = 2
    """Of a program that can't go on: 1 if a later run may do better, else 2."""

    def __init__(self, message: str, passes: bool = False, code: str = "") -> None:
        super().__init__(message)
        self.passes = passes
        """Whether the same request may succeed later."""
        self.code = code
        """The store's name of the error, or the HTTP status; empty if it did not answer."""


def explain_answer(error: Exception, url: Url) -> StorageError:
    """Turns an error of fsspec, or of what it stands on, into plain words.

    Nothing of the store's own message is repeated, because it may hold part of a credential.
    """
    if isinstance(error, StorageError):
        return error
    cause = error.__cause__ if hasattr(error.__cause__, "response") else error
    code, status = _find_code(cause)
    if code in _PERMANENT:
        text = _PERMANENT[code].format(place=url.place)
        return StorageError(f"{url}: {text}", code=code)
    if code in _PASSING or status >= 500:
        named = f" ({code})" if code and code != str(status) else ""
        return StorageError(f"{url}: the store answers {status or 'an error'}{named}", True, code)
    if code or status:
        return StorageError(
            f"{url}: the store answers {status} ({code}), which is not expected", code=code
        )
    return _explain_local(error, url)


def _find_code(error: Any) -> tuple[str, int]:
    """The code and HTTP status of an answer; of botocore, gcsfs and aiohttp."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = str(response.get("Error", {}).get("Code", ""))
        return code or str(status), int(status)
    status = getattr(error, "status", None) or getattr(error, "code", None) or 0
    if str(status).isdigit() and int(status):
        return str(status), int(status)
    if isinstance(error, FileNotFoundError):
        return "404", 404
    if isinstance(error, OSError) and str(error).startswith("Forbidden"):  # gcsfs
        return "403", 403
    return "", 0


def _explain_local(error: Exception, url: Url) -> StorageError:
    """Explains what happened before or instead of an answer."""
    kinds = {f"{kind.__module__.split('.')[0]}.{kind.__name__}" for kind in type(error).__mro__}
    no_credentials = {
        *("botocore.NoCredentialsError", "botocore.PartialCredentialsError"),
        *(
            "botocore.CredentialRetrievalError",
            "google.GoogleAuthError",
            "botocore.ProfileNotFound",
        ),
    }
    if kinds & no_credentials:
        return StorageError(
            f"{url}: no credentials were found in the environment, in the store's configuration "
            "file or from the machine's role"
        )
    if kinds & {"botocore.ParamValidationError", "aiohttp.InvalidURL"}:
        return StorageError(f"{url}: the store can't have this name")
    if isinstance(error, TimeoutError) or kinds & {
        *("botocore.ReadTimeoutError", "botocore.ConnectTimeoutError", "fsspec.FSTimeoutError"),
    }:
        return StorageError(f"{url}: the store does not answer in time", passes=True)
    network = {"botocore.HTTPClientError", "botocore.IncompleteReadError", "aiohttp.ClientError"}
    network |= {"botocore.ResponseParserError", "requests.RequestException", "gcsfs.ChecksumError"}
    if isinstance(error, ConnectionError) or kinds & network:
        return StorageError(f"{url}: the connection to the store fails", passes=True)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(f"{url}: the disk for temporary files is full; set TMPDIR to a larger")
    said = "" if url.query else f": {error}"  # which may have the whole address
    return StorageError(f"{url}: {type(error).__name__}{said}")
