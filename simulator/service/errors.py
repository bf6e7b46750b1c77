"""The errors that the API answers with: a code, a message and an HTTP status, as the service has them."""

from __future__ import annotations


class ServiceError(Exception):
    """An answer that is an error. `code` is what botocore's parser gives as Error.Code."""

    code = "InternalFailure"
    http_status = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ValidationException(ServiceError):
    """The request is well-formed and not valid: a constraint of the model or a rule of the service."""

    code, http_status = "ValidationException", 400


class SerializationException(ServiceError):
    """The body is no JSON, or has another type where the model has its own."""

    code, http_status = "SerializationException", 400


class UnknownOperation(ServiceError):
    """X-Amz-Target names nothing that the model has."""

    code, http_status = "UnknownOperationException", 400


class ResourceInUse(ServiceError):
    """The name is taken, or the job still runs."""

    code, http_status = "ResourceInUse", 400


class ResourceNotFound(ServiceError):
    """There is no such training job."""

    code, http_status = "ResourceNotFound", 400


class NotInMoto(ServiceError):
    """An operation that is not ours, and that moto does not have."""

    code, http_status = "NotImplementedException", 501


class ResourceLimitExceeded(ServiceError):
    """More than this server takes, or can do."""

    code, http_status = "ResourceLimitExceeded", 400
