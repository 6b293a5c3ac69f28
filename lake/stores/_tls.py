"""Why a connection over TLS did not come about, where trying again does not help."""

from __future__ import annotations

import ssl

_NO_TLS = ("[SSL: WRONG_VERSION_NUMBER]", "[SSL: RECORD_LAYER_FAILURE]", "[SSL: UNKNOWN_PROTOCOL]")
"""What OpenSSL calls an answer in plain text."""


def mistrust(error: BaseException, bundle: str) -> str | None:
    """Return what is wrong with the server or its address, and what to do; None where it is no matter of TLS.

    `bundle` says where the file is given of the authority that signed the server's certificate.
    """
    cause: BaseException | None = error
    while cause is not None:
        text = str(cause)
        if isinstance(cause, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in text:
            return (
                f"the server's certificate cannot be verified: {error}. Give {bundle} the file of the authority that "
                "signed it"
            )
        if any(word in text for word in _NO_TLS):
            return "the server does not speak TLS at that address: begin the endpoint with http://, or correct its port"
        cause = cause.__cause__ or cause.__context__
    return None


__all__ = ["mistrust"]
