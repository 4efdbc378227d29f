"""What is told to upstreams of the certificate that a client has shown."""

from typing import Annotated, Literal

import attrs

Forwarding = Literal[
    "sanitize", "forward_only", "append_forward", "sanitize_set", "always_forward_only"
]


@attrs.frozen
class ClientCertificateDetails:
    """What `x-forwarded-client-cert` says, beside the hash that is always there."""

    subject: Annotated[bool, "The subject"] = False
    cert: Annotated[bool, "All of it, in PEM, percent-encoded"] = False
    dns: Annotated[bool, "Its DNS names"] = False
    uri: Annotated[bool, "Its URIs"] = False


THE_HASH = ClientCertificateDetails()
